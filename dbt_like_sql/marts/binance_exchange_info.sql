-- Every market that Binance ever listed while it was asked, as it was told last.
SELECT
    raw.fid AS id,
    raw.content ->> 'symbol' AS symbol,
    raw.content ->> 'baseAsset' AS base_asset,
    raw.content ->> 'quoteAsset' AS quote_asset,
    raw.content ->> 'status' AS status,
    coalesce(raw.content -> 'isSpotTradingAllowed' = 'true'::jsonb, FALSE) AS is_spot_trading_allowed,
    coalesce(raw.content -> 'isMarginTradingAllowed' = 'true'::jsonb, FALSE) AS is_margin_trading_allowed,
    raw.content AS raw_data,
    raw.read_at AS updated_at
FROM recon.raw_records AS raw
JOIN recon.venues AS v ON v.venue = raw.venue AND v.kind = 'binance'
WHERE raw.stream = 'exchange_info' AND raw.superseded_at IS NULL
