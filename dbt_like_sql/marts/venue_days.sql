-- A venue's day at a glance, from its accounts' verdicts.
SELECT
    date,
    venue,
    count(*) AS accounts,
    count(*) FILTER (WHERE verdict = 'green') AS green,
    count(*) FILTER (WHERE verdict = 'red') AS red,
    count(*) FILTER (WHERE verdict = 'incomplete') AS incomplete,
    count(*) FILTER (WHERE verdict = 'pending') AS pending,
    count(*) FILTER (WHERE verdict = 'opening') AS opening,
    sum(scanned)::bigint AS rows_scanned,
    sum(matched)::bigint AS rows_matched,
    sum(variances)::bigint AS rows_at_variance,
    sum(account_day_verdict.incomplete)::bigint AS rows_incomplete,
    sum(usd_at_variance)::numeric(38, 8) AS usd_at_variance,
    sum(unpriced_variances)::bigint AS unpriced_variances
FROM marts.account_day_verdict
GROUP BY date, venue
