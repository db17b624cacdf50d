-- What Binance stated to be held, beside what was calculated, with the columns of the Binance plan.
SELECT
    b.id AS pid,
    b.source,
    raw.fid,
    b.snapshot_id AS external_id,
    b.date,
    b.account AS email,
    b.wallet,
    b.asset,
    b.raw_balance,
    coalesce(b.raw_loan, 0) AS raw_loan,
    coalesce(b.raw_interest, 0) AS raw_interest,
    coalesce(b.raw_unrealised_pnl, 0) AS raw_unrealised_pnl,
    r.calculated_balance AS cal_balance,
    r.loan_calculated AS cal_loan,
    r.interest_calculated AS cal_interest,
    r.unrealised_pnl_calculated AS cal_unrealised_pnl,
    r.variance_in_asset,
    r.variance_in_usd,
    r.usd_price,
    b.recorded_at AS created_at,
    b.recorded_at AS updated_at
FROM recon.balances AS b
JOIN recon.venues AS v ON v.venue = b.venue AND v.kind = 'binance'
LEFT JOIN recon.raw_records AS raw ON raw.venue = b.venue AND raw.digest = b.raw_id AND raw.superseded_at IS NULL
LEFT JOIN recon.reconciliation AS r
    ON r.venue = b.venue AND r.account = b.account AND r.wallet = b.wallet AND r.asset = b.asset AND r.date = b.date
WHERE b.retired_at IS NULL
