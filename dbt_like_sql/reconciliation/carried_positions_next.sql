-- Where this piece leaves each position: the cell from which its next window starts. What holds zero since its wallet
-- was last read, as anything that nobody stated does, need not be remembered.
WITH read_wallets AS (
    SELECT DISTINCT account, wallet FROM snapshots
),

last_cells AS (
    SELECT
        windows.position_id,
        positions.account,
        positions.wallet,
        positions.asset,
        windows.kind,
        windows.date AS wallet_date,
        CASE
            WHEN windows.starts_next THEN struct_pack(
                as_of := windows.as_of,
                date := windows.date,
                balance := windows.balance
            )
            WHEN windows.start_as_of IS NOT NULL THEN struct_pack(
                as_of := windows.start_as_of,
                date := windows.start_date,
                balance := windows.start_balance
            )
        END AS cell
    FROM windows
    INNER JOIN positions USING (position_id)
    INNER JOIN carried_wallets_next AS wallets USING (account, wallet)
    LEFT JOIN read_wallets USING (account, wallet)
    WHERE
        CASE
            WHEN windows.kind = 'carried' THEN read_wallets.account IS NULL
            ELSE windows.date = wallets.last_date
        END
)

SELECT
    last_cells.account,
    last_cells.wallet,
    last_cells.asset,
    last_cells.cell.as_of AS as_of,
    last_cells.cell.date AS date,
    coalesce(last_cells.cell.balance, 0)::DECIMAL(36, 18) AS balance,
    coalesce(measures.loan, 0)::DECIMAL(36, 18) AS loan,
    coalesce(measures.interest, 0)::DECIMAL(36, 18) AS interest,
    CASE
        WHEN last_cells.kind = 'carried' THEN coalesce(before.in_last_snapshot, FALSE)
        ELSE last_cells.kind IN ('stated', 'quarantined')
    END AS in_last_snapshot,
    wallets.last_date AS wallet_date
FROM last_cells
INNER JOIN carried_wallets_next AS wallets USING (account, wallet)
LEFT JOIN carried_positions AS before USING (account, wallet, asset)
LEFT JOIN measures ON last_cells.position_id = measures.position_id AND last_cells.cell.date = measures.date
WHERE
    CASE
        WHEN last_cells.kind = 'carried' THEN coalesce(before.in_last_snapshot, FALSE)
        ELSE last_cells.kind IN ('stated', 'quarantined')
    END
    OR last_cells.cell.balance <> 0
    OR measures.loan <> 0
    OR measures.interest <> 0
    OR last_cells.cell.as_of IS DISTINCT FROM wallets.absent_as_of
