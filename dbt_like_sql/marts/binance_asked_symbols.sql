-- Over which time each market was asked for an account's trades, whether it had any or not.
SELECT
    a.id,
    a.account AS email,
    a.symbol,
    a.last_trade_at AS last_trade_time,
    a.first_seen,
    a.last_checked,
    a.purged_after IS NULL AS is_active,
    a.trades,
    a.asked_from,
    a.asked_through,
    a.venue
FROM recon.asked_symbols AS a
JOIN recon.venues AS v ON v.venue = a.venue AND v.kind = 'binance'
WHERE a.stream = 'spot_trades'
