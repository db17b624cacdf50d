-- Raw records of Binance, every version: spot trades.
SELECT
    raw.fid AS id,
    raw.account AS email,
    raw.call ->> 'symbol' AS symbol,
    raw.content AS trade_data,
    raw.read_at AS created_at,
    raw.venue
FROM recon.raw_records AS raw
JOIN recon.venues AS v ON v.venue = raw.venue AND v.kind = 'binance'
WHERE raw.stream IN ('spot_trades', 'allocations')
