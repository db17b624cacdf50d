-- Which assets an account of Binance is known to hold or to have moved, and when it last did.
SELECT email, asset, max(last_seen) AS last_seen, venue
FROM (
    SELECT venue, email, asset, datetime AS last_seen FROM marts.binance_reconciliation_transfers
    UNION ALL
    SELECT venue, email, asset, datetime FROM marts.binance_reconciliation_trades
    UNION ALL
    SELECT venue, email, asset, date::timestamp AT TIME ZONE 'UTC' FROM marts.binance_reconciliation_balances
    WHERE raw_balance > 0 OR cal_balance > 0
) AS seen
GROUP BY venue, email, asset
