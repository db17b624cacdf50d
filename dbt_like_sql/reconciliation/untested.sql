-- Positions that a snapshot does not state, without a window that could be tested and without a start that lists them:
-- their rows stand only if something told of them since.
SELECT
    windows.position_id,
    windows.date,
    positions.account,
    positions.wallet,
    positions.asset,
    coalesce(windows.start_as_of, snapshots.opened_at) AS since,
    windows.as_of AS until,
    CASE WHEN windows.start_as_of IS NULL THEN snapshots.opened_on END AS refused_since
FROM windows
INNER JOIN days USING (date)
INNER JOIN positions USING (position_id)
INNER JOIN snapshots USING (account, wallet, date)
WHERE
    windows.kind IN ('absent', 'unknown')
    AND windows.situation IN ('absence_unknown', 'no_start')
    AND NOT windows.is_opening
    AND NOT windows.is_listed
