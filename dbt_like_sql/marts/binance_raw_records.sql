-- Raw records of Binance of every stream and version: what any fid names.
SELECT
    raw.fid,
    raw.account AS email,
    raw.stream,
    raw.record_key,
    raw.version,
    raw.call,
    raw.content,
    raw.instant,
    raw.read_at,
    raw.superseded_at,
    raw.venue
FROM recon.raw_records AS raw
JOIN recon.venues AS v ON v.venue = raw.venue AND v.kind = 'binance'
