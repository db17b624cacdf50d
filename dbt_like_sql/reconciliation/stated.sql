-- What the snapshots that count state, a row for each position.
SELECT
    balances.account,
    balances.wallet,
    balances.asset,
    balances.date,
    balances.as_of,
    balances.raw_balance,
    balances.raw_loan,
    balances.raw_interest,
    balances.raw_unrealised_pnl,
    balances.marked_unrealised_pnl
FROM balances
INNER JOIN snapshots USING (account, wallet, date, snapshot_id)
