-- The start of every cell, whatever the order of as_of: of the position's usable cells before it, the one with the
-- greatest as_of, and of equal ones the latest. That is the chain of the contract in one pass: a cell whose as_of lies
-- before its start's either repeats the start's amount or starts nothing.
WITH reached AS (
    SELECT
        *,
        max(CASE WHEN usable THEN as_of END) OVER (
            PARTITION BY position_id, epoch ORDER BY date ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        ) AS start_as_of
    FROM cells
),

chained AS (
    SELECT *, usable AND coalesce(as_of >= start_as_of, TRUE) AS starts_next
    FROM reached
)

SELECT
    * EXCLUDE (usable),
    usable AND as_of < start_as_of AS goes_back,
    lag(CASE WHEN starts_next THEN date END IGNORE NULLS) OVER earlier AS start_date,
    lag(CASE WHEN starts_next THEN balance END IGNORE NULLS) OVER earlier AS start_balance
FROM chained
WINDOW earlier AS (PARTITION BY position_id, epoch ORDER BY date)
