-- The legs of fills and conversions of every venue of kind binance, with the columns of the Binance plan.
SELECT
    t.id AS pid,
    t.source,
    raw.fid,
    t.external_id,
    t.datetime,
    t.txn_type,
    t.txn_subtype,
    t.account AS email,
    t.wallet,
    t.symbol,
    t.asset,
    t.amount,
    t.price,
    t.agg_id,
    coalesce((
        SELECT bool_or(r.status = 'matched')
        FROM recon.reconciliation AS r
        WHERE
            r.venue = t.venue AND r.account = t.account AND r.wallet = t.wallet AND r.asset = t.asset
            AND r.window_start < t.datetime AND r.window_end >= t.datetime
    ), FALSE) AS reconciled,
    t.recorded_at AS created_at,
    t.recorded_at AS updated_at
FROM recon.trades AS t
JOIN recon.venues AS v ON v.venue = t.venue AND v.kind = 'binance'
LEFT JOIN recon.raw_records AS raw ON raw.venue = t.venue AND raw.digest = t.raw_id AND raw.superseded_at IS NULL
WHERE t.retired_at IS NULL
