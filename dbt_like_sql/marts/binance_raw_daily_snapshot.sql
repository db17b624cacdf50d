-- Raw records of Binance, every version: daily account snapshots.
SELECT
    raw.fid AS id,
    raw.account AS email,
    raw.content AS snapshot_data,
    raw.read_at AS created_at
FROM recon.raw_records AS raw
JOIN recon.venues AS v ON v.venue = raw.venue AND v.kind = 'binance'
WHERE raw.stream IN ('spot_snapshots', 'margin_snapshots', 'futures_snapshots')
