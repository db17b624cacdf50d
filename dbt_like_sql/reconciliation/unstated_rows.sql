-- Rows of days without a snapshot of their wallet, in the columns of `windows`.
WITH unstated_days AS (
    SELECT missing.date, positions.position_id, 'missing_snapshot' AS situation, missing.last_date AS start_date
    FROM missing_snapshots AS missing
    INNER JOIN positions USING (account, wallet, asset)
    UNION ALL
    SELECT never_stated.date, positions.position_id, 'never_stated' AS situation, NULL AS start_date
    FROM never_stated
    INNER JOIN positions USING (account, wallet, asset)
),

-- a quarantined cell on a day without any snapshot of its wallet still has its row
quarantined_days AS (
    SELECT unknown_cells.date, positions.position_id, 'quarantined_balance' AS situation, NULL::DATE AS start_date
    FROM unknown_cells
    INNER JOIN days USING (date)
    INNER JOIN positions USING (account, wallet, asset)
    ANTI JOIN snapshots
        ON
            unknown_cells.account = snapshots.account
            AND unknown_cells.wallet = snapshots.wallet
            AND unknown_cells.date = snapshots.date
    ANTI JOIN unstated_days
        ON unknown_cells.date = unstated_days.date AND positions.position_id = unstated_days.position_id
)

SELECT date, position_id, situation, start_date, 'unstated' AS kind, TRUE AS is_listed FROM unstated_days
UNION ALL
SELECT date, position_id, situation, start_date, 'unstated' AS kind, TRUE AS is_listed FROM quarantined_days
