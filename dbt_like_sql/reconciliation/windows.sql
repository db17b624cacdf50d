-- Every cell with its start, and what can be said of its window before any flow is read. `is_listed`: the row stands even
-- if no flow moved it.
SELECT
    starts.*,
    CASE
        WHEN kind = 'quarantined' THEN 'quarantined_balance'
        WHEN kind = 'unknown' THEN 'absence_unknown'
        WHEN is_opening THEN 'opening'
        WHEN start_as_of IS NULL THEN 'no_start'
        WHEN as_of < start_as_of AND balance <> start_balance THEN 'as_of_before_start'
        ELSE 'tested'
    END AS situation,
    kind IN ('stated', 'quarantined')
    OR (
        NOT is_opening
        AND (
            coalesce(start_balance <> 0, FALSE)
            OR coalesce(at_start.loan <> 0, FALSE)
            OR coalesce(at_start.interest <> 0, FALSE)
        )
    ) AS is_listed,
    CASE
        WHEN getvariable('has_streams') AND as_of < start_as_of AND balance = start_balance THEN start_as_of
        ELSE as_of
    END AS window_end
FROM starts
LEFT JOIN measures AS at_start ON starts.position_id = at_start.position_id AND starts.start_date = at_start.date
