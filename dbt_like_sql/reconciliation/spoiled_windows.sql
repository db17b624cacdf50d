-- Windows that a quarantined flow may lie in: of its position, of its account where the position cannot be told, of
-- all where the account cannot; all windows of that scope where the instant cannot. `is_named`: the flow names this very
-- position, which then has its row even if nothing else tells of it.
WITH tested AS (
    SELECT grid.position_id, grid.date, grid.window_start, grid.window_end, positions.account, positions.wallet,
        positions.asset
    FROM grid
    INNER JOIN positions USING (position_id)
    WHERE
        grid.situation = 'tested'
        AND grid.window_start < grid.window_end
        AND EXISTS (SELECT 1 FROM unknown_flows)
),

found AS (
    SELECT tested.position_id, tested.date, TRUE AS is_named
    FROM tested
    INNER JOIN unknown_flows AS flow
        ON tested.account = flow.account AND tested.wallet = flow.wallet AND tested.asset = flow.asset
    WHERE coalesce(flow.instant > tested.window_start AND flow.instant <= tested.window_end, TRUE)
    UNION ALL
    SELECT tested.position_id, tested.date, FALSE AS is_named
    FROM tested
    INNER JOIN unknown_flows AS flow ON tested.account = flow.account
    WHERE
        (flow.wallet IS NULL OR flow.asset IS NULL)
        AND coalesce(flow.instant > tested.window_start AND flow.instant <= tested.window_end, TRUE)
    UNION ALL
    SELECT tested.position_id, tested.date, FALSE AS is_named
    FROM tested
    CROSS JOIN unknown_flows AS flow
    WHERE
        flow.account IS NULL
        AND coalesce(flow.instant > tested.window_start AND flow.instant <= tested.window_end, TRUE)
)

SELECT position_id, date, bool_or(is_named) AS is_named
FROM found
GROUP BY position_id, date
