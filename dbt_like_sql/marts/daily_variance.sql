-- Every position and day with its two sides and what lies between them.
SELECT
    date,
    venue,
    account,
    wallet,
    asset,
    window_start,
    window_end,
    start_balance,
    transfers_in + transfers_out + trades_in + trades_out + fees AS net_flow,
    flow_count,
    calculated_balance,
    actual_balance,
    variance_in_asset,
    usd_price,
    price_status,
    variance_in_usd,
    tolerance,
    status,
    severity,
    discrepancy_type
FROM recon.reconciliation
