-- The price of each day and asset: the last one before the next midnight, of the venue itself if it has any, else of
-- the first source that has. Zero, negative or quarantined makes it missing, never an older one.
WITH wanted AS (
    SELECT DISTINCT days.date, positions.asset, sources.rank
    FROM days, positions, price_sources AS sources
),

found AS (
    SELECT wanted.date, wanted.asset, wanted.rank, prices.as_of, prices.usd_price
    FROM wanted
    ASOF INNER JOIN prices
        ON
            wanted.asset = prices.asset
            AND wanted.rank = prices.rank
            AND wanted.date + INTERVAL 1 DAY > prices.as_of
    ANTI JOIN unreadable_prices ON wanted.rank = unreadable_prices.rank
    UNION ALL
    -- a newer price of any asset may stand in what could not be read
    SELECT wanted.date, wanted.asset, wanted.rank, NULL AS as_of, NULL AS usd_price
    FROM wanted
    SEMI JOIN unreadable_prices USING (rank)
),

chosen AS (
    SELECT date, asset, arg_min(struct_pack(as_of := as_of, usd_price := usd_price), rank) AS price
    FROM found
    GROUP BY date, asset
)

SELECT
    date,
    asset,
    CASE WHEN price.usd_price > 0 THEN price.usd_price END AS usd_price,
    CASE
        WHEN coalesce(price.usd_price, 0) <= 0 THEN 'missing'
        WHEN price.as_of < date - INTERVAL 2 DAY THEN 'stale'
        ELSE 'ok'
    END AS price_status,
    price.as_of AS price_as_of
FROM chosen
