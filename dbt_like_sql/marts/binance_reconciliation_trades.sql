-- The legs of fills and conversions of every venue of kind binance, with the columns of the Binance plan.
SELECT
    -- the number of its first version: a row that is told anew keeps it
    least(t.id, (
        SELECT min(before.id)
        FROM recon.trades AS before
        WHERE
            before.venue = t.venue AND before.account = t.account AND before.source = t.source
            AND before.external_id = t.external_id AND before.retired_at IS NOT NULL
    )) AS pid,
    t.source,
    -- told in another way since, which changed nothing of this row: the version that it was made from
    coalesce(raw.fid, (
        SELECT max(before.fid) FROM recon.raw_records AS before WHERE before.venue = t.venue AND before.digest = t.raw_id
    )) AS fid,
    t.external_id,
    t.datetime,
    t.txn_type,
    t.txn_subtype,
    t.account AS email,
    t.wallet,
    -- a conversion has no market: what was given and what was got stand for it
    coalesce(
        t.symbol,
        (
            SELECT string_agg(leg.asset, '' ORDER BY leg.external_id = t.agg_id || ':to')
            FROM recon.trades AS leg
            WHERE
                leg.venue = t.venue AND leg.account = t.account AND leg.source = t.source
                AND leg.external_id IN (t.agg_id || ':from', t.agg_id || ':to') AND leg.retired_at IS NULL
            HAVING count(*) = 2
        ),
        ''
    ) AS symbol,
    t.asset,
    t.amount,
    t.price,
    CASE WHEN event.number::numeric <= 9223372036854775807 THEN event.number::bigint END AS agg_id,
    coalesce((
        SELECT r.status = 'matched'
        FROM recon.reconciliation AS r
        WHERE
            r.venue = t.venue AND r.account = t.account AND r.wallet = t.wallet AND r.asset = t.asset
            AND r.window_start < t.datetime AND r.window_end >= t.datetime
        -- the first window that ends after it, by the index: all days of a position would be read for each flow
        ORDER BY r.window_end, r.status = 'matched' DESC
        LIMIT 1
    ), FALSE) AS reconciled,
    t.recorded_at AS created_at,
    t.recorded_at AS updated_at,
    t.venue
FROM recon.trades AS t
JOIN recon.venues AS v ON v.venue = t.venue AND v.kind = 'binance'
LEFT JOIN recon.raw_records AS raw ON raw.venue = t.venue AND raw.digest = t.raw_id AND raw.superseded_at IS NULL
CROSS JOIN LATERAL (
    -- a fill is named <market>:<number>, an allocation <market>:A<number>, an order that an algo order was split into
    -- <market>:algo<number>:<its place>, a dust leg <number>:<asset>, all else <number>;
    -- of a market that left the list and came back, @ and when it had left follow the number
    SELECT
        substring(
            CASE WHEN starts_with(t.agg_id, t.symbol || ':') THEN substr(t.agg_id, length(t.symbol) + 2) ELSE t.agg_id END,
            '^(?:A|algo)?([0-9]{1,19})(?:@[0-9TZ]+)?(?::[^:]+)?$'
        ) AS number
) AS event
WHERE t.retired_at IS NULL AND t.measure = 'balance'
