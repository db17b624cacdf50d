-- The summary in the columns of the Binance plan.
SELECT
    date,
    account AS email,
    wallet,
    asset,
    start_balance,
    transfers_in,
    transfers_out,
    trades_in,
    trades_out,
    fees,
    calculated_balance,
    actual_balance,
    variance_in_asset AS variance
FROM recon.reconciliation
