-- Raw records of Binance, every version: deposits, also those of a sub-account as its main account is told.
SELECT
    raw.fid AS id,
    raw.account AS email,
    raw.content AS deposit_data,
    raw.read_at AS created_at,
    raw.venue
FROM recon.raw_records AS raw
JOIN recon.venues AS v ON v.venue = raw.venue AND v.kind = 'binance'
WHERE raw.stream IN ('deposits', 'sub_deposits')
