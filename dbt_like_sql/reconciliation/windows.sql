-- The start of every cell: of the position's usable cells before it, the one with the greatest as_of, and of equal
-- ones the latest. That is the chain of the contract in one pass: a cell whose as_of lies before its start's either
-- repeats the start's amount or starts nothing.
WITH reached AS (
    SELECT
        *,
        max(CASE WHEN usable THEN as_of END) OVER earlier AS start_as_of
    FROM cells
    WINDOW earlier AS (
        PARTITION BY position_id, epoch ORDER BY date ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    )
),

chained AS (
    SELECT
        *,
        usable AND coalesce(as_of >= start_as_of, TRUE) AS starts_next
    FROM reached
)

SELECT
    * EXCLUDE (usable),
    last_value(
        CASE
            WHEN starts_next
                THEN struct_pack(date := date, balance := balance, loan := loan, interest := interest)
        END IGNORE NULLS
    ) OVER (
        PARTITION BY position_id, epoch ORDER BY date ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    ) AS start
FROM chained
