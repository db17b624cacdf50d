-- The price of each day and asset: the last one before the next midnight, of the venue itself if it has any, else of
-- the first source that has. Zero, negative or quarantined makes it missing, never an older one.
WITH wanted AS (
    SELECT DISTINCT days.date, positions.asset, sources.rank
    FROM days, positions, price_sources AS sources
),

stated AS (
    SELECT wanted.date, wanted.asset, wanted.rank, prices.as_of, prices.usd_price
    FROM wanted
    ASOF INNER JOIN prices
        ON
            wanted.asset = prices.asset
            AND wanted.rank = prices.rank
            AND wanted.date + INTERVAL 1 DAY > prices.as_of
),

-- a refused price whose asset cannot be told may be the newer price of any; at infinity if its instant cannot either
unreadable AS (
    SELECT days.date, refused.rank, max(refused.as_of) AS as_of
    FROM days
    INNER JOIN unreadable_prices AS refused
        ON days.date + INTERVAL 1 DAY > refused.as_of OR refused.as_of = 'infinity'::TIMESTAMPTZ
    GROUP BY days.date, refused.rank
),

found AS (
    SELECT
        wanted.date,
        wanted.asset,
        wanted.rank,
        CASE WHEN coalesce(stated.as_of > unreadable.as_of, TRUE) THEN stated.as_of END AS as_of,
        CASE WHEN coalesce(stated.as_of > unreadable.as_of, TRUE) THEN stated.usd_price END AS usd_price
    FROM wanted
    LEFT JOIN stated USING (date, asset, rank)
    LEFT JOIN unreadable USING (date, rank)
    WHERE stated.as_of IS NOT NULL OR unreadable.as_of IS NOT NULL
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
