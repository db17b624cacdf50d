-- Windows that a quarantined flow may lie in: of its position, of its account where the position cannot be told, of
-- all where the account cannot; all windows of that scope where the instant cannot.
WITH tested AS (
    SELECT grid.position_id, grid.date, grid.window_start, grid.window_end, positions.account, positions.wallet,
        positions.asset
    FROM grid
    INNER JOIN positions USING (position_id)
    WHERE
        grid.situation = 'tested'
        AND grid.window_start < grid.window_end
        AND EXISTS (SELECT 1 FROM unknown_flows)
)

SELECT tested.position_id, tested.date
FROM tested
INNER JOIN unknown_flows AS flow
    ON tested.account = flow.account AND tested.wallet = flow.wallet AND tested.asset = flow.asset
WHERE coalesce(flow.instant > tested.window_start AND flow.instant <= tested.window_end, TRUE)
UNION
SELECT tested.position_id, tested.date
FROM tested
INNER JOIN unknown_flows AS flow ON tested.account = flow.account
WHERE
    (flow.wallet IS NULL OR flow.asset IS NULL)
    AND coalesce(flow.instant > tested.window_start AND flow.instant <= tested.window_end, TRUE)
UNION
SELECT tested.position_id, tested.date
FROM tested
CROSS JOIN unknown_flows AS flow
WHERE
    flow.account IS NULL
    AND coalesce(flow.instant > tested.window_start AND flow.instant <= tested.window_end, TRUE)
