-- Raw records of Binance, every version: daily account snapshots, and what was captured of wallets that have none.
SELECT
    raw.fid AS id,
    raw.account AS email,
    raw.content AS snapshot_data,
    raw.read_at AS created_at,
    raw.venue
FROM recon.raw_records AS raw
JOIN recon.venues AS v ON v.venue = raw.venue AND v.kind = 'binance'
WHERE
    raw.stream IN (
        'spot_snapshots', 'margin_snapshots', 'futures_snapshots', 'managed_snapshots',
        'spot_account', 'funding_assets', 'flexible_positions', 'locked_positions', 'onchain_positions', 'margin_account',
        'isolated_account', 'futures_balance', 'futures_coin_balance', 'option_account', 'portfolio_margin_balance',
        'sub_assets', 'sub_margin_account', 'sub_futures_account', 'sub_futures_coin_account'
    )
