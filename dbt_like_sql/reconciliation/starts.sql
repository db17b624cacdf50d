-- The start of every cell where as_of never goes back: the position's last usable cell before it. Where any cell
-- `goes_back`, `starts_in_any_order` must be asked instead.
SELECT
    * EXCLUDE (usable),
    usable AND coalesce(as_of >= start_as_of, TRUE) AS starts_next,
    usable AND as_of < start_as_of AS goes_back
FROM (
    SELECT
        *,
        lag(CASE WHEN usable THEN as_of END IGNORE NULLS) OVER earlier AS start_as_of,
        lag(CASE WHEN usable THEN date END IGNORE NULLS) OVER earlier AS start_date,
        lag(CASE WHEN usable THEN balance END IGNORE NULLS) OVER earlier AS start_balance
    FROM cells
    WINDOW earlier AS (PARTITION BY position_id, epoch ORDER BY date)
)
