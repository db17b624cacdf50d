-- Differences of money that stand unexplained, the gravest first.
WITH refused AS MATERIALIZED (
    -- parts of a stream, of a market that the venue does not know any more
    SELECT venue, account, date FROM recon.pulls WHERE status = 'failed' AND strpos(stream, ':') > 0
)

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
    -- every stream on every day that the window touches; of files nobody says that no other will come
    CASE WHEN EXISTS (SELECT FROM recon.pulls AS p WHERE p.venue = v.venue) THEN (
        SELECT
            count(*) = cardinality(s.streams) * (days.last_day - days.first_day + 1)
            AND NOT EXISTS (
                SELECT FROM refused AS r
                WHERE r.venue = v.venue AND r.account = v.account AND r.date BETWEEN days.first_day AND days.last_day
            )
        FROM recon.pulls AS p
        WHERE
            p.venue = v.venue AND p.account = v.account AND p.stream = ANY(s.streams)
            AND p.date BETWEEN days.first_day AND days.last_day AND p.status IN ('final', 'not_applicable')
    ) END AS is_final
FROM marts.daily_variance AS v
LEFT JOIN recon.venues AS s ON s.venue = v.venue
CROSS JOIN LATERAL (
    SELECT
        ((v.window_start + interval '1 microsecond') AT TIME ZONE 'UTC')::date AS first_day,
        (v.window_end AT TIME ZONE 'UTC')::date AS last_day
) AS days
WHERE v.status = 'variance'
ORDER BY
    CASE v.severity WHEN 'critical' THEN 1 WHEN 'high' THEN 2 WHEN 'medium' THEN 3 ELSE 4 END,
    abs(v.variance_in_usd) DESC NULLS LAST, v.date, v.venue, v.account, v.wallet, v.asset
