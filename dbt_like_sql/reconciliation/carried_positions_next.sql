-- Where this piece leaves each position: the cell from which its next window starts. What holds zero since its wallet
-- was last read, as anything that nobody stated does, need not be remembered.
WITH ranked AS (
    SELECT *, row_number() OVER (PARTITION BY position_id ORDER BY date DESC, epoch DESC) AS age
    FROM windows
),

last_cells AS (
    SELECT
        positions.account,
        positions.wallet,
        positions.asset,
        ranked.kind,
        ranked.date AS wallet_date,
        CASE
            WHEN ranked.starts_next THEN struct_pack(
                as_of := ranked.as_of,
                date := ranked.date,
                balance := ranked.balance,
                loan := ranked.loan,
                interest := ranked.interest
            )
            WHEN ranked.start_as_of IS NOT NULL THEN struct_pack(
                as_of := ranked.start_as_of,
                date := ranked.start.date,
                balance := ranked.start.balance,
                loan := ranked.start.loan,
                interest := ranked.start.interest
            )
        END AS cell
    FROM ranked
    INNER JOIN positions USING (position_id)
    WHERE ranked.age = 1
)

SELECT
    last_cells.account,
    last_cells.wallet,
    last_cells.asset,
    last_cells.cell.as_of AS as_of,
    last_cells.cell.date AS date,
    coalesce(last_cells.cell.balance, 0)::DECIMAL(36, 18) AS balance,
    coalesce(last_cells.cell.loan, 0)::DECIMAL(36, 18) AS loan,
    coalesce(last_cells.cell.interest, 0)::DECIMAL(36, 18) AS interest,
    CASE
        WHEN last_cells.kind = 'carried' THEN coalesce(before.in_last_snapshot, FALSE)
        ELSE last_cells.kind IN ('stated', 'quarantined')
    END AS in_last_snapshot,
    wallets.last_date AS wallet_date
FROM last_cells
INNER JOIN carried_wallets_next AS wallets USING (account, wallet)
LEFT JOIN carried_positions AS before USING (account, wallet, asset)
WHERE
    CASE
        WHEN last_cells.kind = 'carried' THEN coalesce(before.in_last_snapshot, FALSE)
        ELSE last_cells.kind IN ('stated', 'quarantined')
    END
    OR last_cells.cell.balance <> 0
    OR last_cells.cell.loan <> 0
    OR last_cells.cell.interest <> 0
    OR last_cells.cell.as_of IS DISTINCT FROM wallets.absent_as_of
