-- What is known of each position at each snapshot of its wallet. Absent from a complete snapshot means zero at its
-- read_at. `carried` is where the days before left off; `usable` says that a later day may start from the cell.
WITH of_snapshots AS (
    SELECT
        positions.position_id,
        snapshots.date,
        snapshots.epoch,
        snapshots.is_opening,
        CASE
            WHEN unknown_cells.asset IS NOT NULL THEN 'quarantined'
            WHEN stated.asset IS NOT NULL THEN 'stated'
            WHEN snapshots.absence_counts AND undated.asset IS NULL THEN 'absent'
            ELSE 'unknown'
        END AS kind,
        coalesce(stated.as_of, snapshots.read_at) AS as_of,
        coalesce(stated.raw_balance, 0)::DECIMAL(36, 18) AS balance
    FROM positions
    INNER JOIN snapshots USING (account, wallet)
    LEFT JOIN stated USING (account, wallet, asset, date)
    LEFT JOIN unknown_cells USING (account, wallet, asset, date)
    LEFT JOIN undated_cells AS undated USING (account, wallet, asset)
),

carried AS (
    SELECT
        positions.position_id,
        coalesce(carried_positions.date, carried_wallets.absent_date, carried_wallets.last_date) AS date,
        0 AS epoch,
        FALSE AS is_opening,
        'carried' AS kind,
        CASE
            WHEN carried_positions.asset IS NOT NULL THEN carried_positions.as_of
            WHEN undated.asset IS NULL THEN carried_wallets.absent_as_of
        END AS as_of,
        coalesce(carried_positions.balance, 0)::DECIMAL(36, 18) AS balance
    FROM positions
    INNER JOIN carried_wallets USING (account, wallet)
    LEFT JOIN carried_positions USING (account, wallet, asset)
    LEFT JOIN undated_cells AS undated USING (account, wallet, asset)
)

SELECT *, kind IN ('stated', 'absent') AS usable
FROM of_snapshots
UNION ALL BY NAME
SELECT *, as_of IS NOT NULL AS usable
FROM carried
