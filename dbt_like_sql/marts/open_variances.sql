-- Differences of money that stand unexplained, the gravest first.
SELECT
    v.date,
    v.venue,
    v.account,
    v.wallet,
    v.asset,
    v.severity,
    v.discrepancy_type,
    v.start_balance,
    v.net_flow,
    v.calculated_balance,
    v.actual_balance,
    v.variance_in_asset,
    v.tolerance,
    v.usd_price,
    v.price_status,
    v.variance_in_usd,
    v.variance_in_loan,
    v.variance_in_interest,
    v.window_start,
    v.window_end,
    v.flow_count,
    CASE sign(v.variance_in_asset) WHEN 1 THEN 'surplus' WHEN -1 THEN 'shortage' END AS direction,
    NOT EXISTS (
        SELECT FROM recon.pulls AS p
        JOIN recon.venues AS s ON s.venue = p.venue AND p.stream = ANY(s.streams)
        WHERE
            p.venue = v.venue AND p.account = v.account
            AND p.date BETWEEN ((v.window_start + interval '1 microsecond') AT TIME ZONE 'UTC')::date
            AND (v.window_end AT TIME ZONE 'UTC')::date
            AND p.status NOT IN ('final', 'not_applicable')
    ) AS is_final
FROM marts.daily_variance AS v
WHERE v.status = 'variance'
ORDER BY
    CASE v.severity WHEN 'critical' THEN 1 WHEN 'high' THEN 2 WHEN 'medium' THEN 3 ELSE 4 END,
    abs(v.variance_in_usd) DESC NULLS LAST, v.date, v.venue, v.account, v.wallet, v.asset
