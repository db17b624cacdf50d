-- Every market that Binance ever listed while it was asked, as it was told last.
SELECT
    raw.first_fid AS id,
    raw.content ->> 'symbol' AS symbol,
    raw.content ->> 'baseAsset' AS base_asset,
    raw.content ->> 'quoteAsset' AS quote_asset,
    raw.content ->> 'status' AS status,
    coalesce(raw.content -> 'isSpotTradingAllowed' = 'true'::jsonb, FALSE) AS is_spot_trading_allowed,
    coalesce(raw.content -> 'isMarginTradingAllowed' = 'true'::jsonb, FALSE) AS is_margin_trading_allowed,
    raw.content AS raw_data,
    raw.read_at AS updated_at,
    raw.venue
FROM (
    SELECT
        every_version.venue,
        every_version.content,
        every_version.read_at,
        every_version.superseded_at,
        -- a market that is told anew keeps its number
        min(every_version.fid) OVER (PARTITION BY every_version.venue, every_version.record_key) AS first_fid
    FROM recon.raw_records AS every_version
    JOIN recon.venues AS v ON v.venue = every_version.venue AND v.kind = 'binance'
    WHERE every_version.stream = 'exchange_info'
) AS raw
WHERE raw.superseded_at IS NULL
