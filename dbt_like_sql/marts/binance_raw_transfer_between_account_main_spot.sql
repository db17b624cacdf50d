-- Raw records of Binance, every version: transfers between main and sub-accounts, as the main account is told.
SELECT
    raw.fid AS id,
    raw.account AS email,
    raw.content AS transfer_data,
    raw.read_at AS created_at,
    raw.venue
FROM recon.raw_records AS raw
JOIN recon.venues AS v ON v.venue = raw.venue AND v.kind = 'binance'
WHERE raw.stream IN ('universal_transfers', 'sub_transfers', 'managed_transfers', 'managed_trader_transfers')
