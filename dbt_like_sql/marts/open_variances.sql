-- Differences of money that stand unexplained, the gravest first.
SELECT
    date,
    venue,
    account,
    wallet,
    asset,
    severity,
    discrepancy_type,
    start_balance,
    net_flow,
    calculated_balance,
    actual_balance,
    variance_in_asset,
    tolerance,
    usd_price,
    price_status,
    variance_in_usd,
    variance_in_loan,
    variance_in_interest,
    window_start,
    window_end,
    flow_count,
    CASE sign(variance_in_asset) WHEN 1 THEN 'surplus' WHEN -1 THEN 'shortage' END AS direction
FROM marts.daily_variance
WHERE status = 'variance'
ORDER BY
    CASE severity WHEN 'critical' THEN 1 WHEN 'high' THEN 2 WHEN 'medium' THEN 3 ELSE 4 END,
    abs(variance_in_usd) DESC NULLS LAST, date, venue, account, wallet, asset
