-- The days of every account: expected by the calendar, by a statement or by a flow, or seen because a row stands there.
WITH venue_periods AS (
    -- What any run covered, whatever became of it: a run that failed leaves days without rows, not days unseen.
    SELECT v.venue, v.calendar, v.start AS first_day, max(covered.last_day) AS last_day
    FROM recon.venues AS v
    JOIN (
        SELECT venue, last_day FROM recon.runs
        UNION ALL
        SELECT venue, date FROM recon.partitions WHERE frame = 'reconciliation'
    ) AS covered ON covered.venue = v.venue
    GROUP BY v.venue, v.calendar, v.start
),

flow_days AS (
    SELECT venue, account, (datetime AT TIME ZONE 'UTC')::date AS date FROM recon.transfers WHERE retired_at IS NULL
    UNION
    SELECT venue, account, (datetime AT TIME ZONE 'UTC')::date FROM recon.trades WHERE retired_at IS NULL
),

statement_days AS (
    SELECT DISTINCT venue, account, date FROM recon.balances WHERE retired_at IS NULL
),

row_days AS (
    SELECT
        venue,
        account,
        date,
        count(*) AS scanned,
        count(*) FILTER (WHERE status = 'matched') AS matched,
        count(*) FILTER (WHERE status = 'variance') AS variances,
        count(*) FILTER (WHERE status = 'incomplete') AS incomplete,
        count(*) FILTER (WHERE status = 'pending') AS pending,
        count(*) FILTER (WHERE status = 'timing') AS timing,
        count(*) FILTER (WHERE status = 'opening') AS openings,
        count(*) FILTER (WHERE status = 'informational') AS informational,
        sum(abs(variance_in_usd)) FILTER (WHERE status = 'variance') AS usd_at_variance,
        count(*) FILTER (WHERE status = 'variance' AND variance_in_usd IS NULL) AS unpriced_variances
    FROM recon.reconciliation
    GROUP BY venue, account, date
),

accounts AS (
    SELECT venue, account FROM flow_days
    UNION
    SELECT venue, account FROM statement_days
    UNION
    SELECT venue, account FROM recon.coverage WHERE retired_at IS NULL
    UNION
    SELECT venue, account FROM recon.expected
    UNION
    SELECT venue, account FROM row_days
),

-- Nothing is expected of an account before it was made.
made AS (
    SELECT venue, account, (max(window_end) AT TIME ZONE 'UTC')::date + 1 AS first_day
    FROM recon.coverage
    WHERE retired_at IS NULL AND stream = '*' AND status = 'not_applicable' AND error = 'NotMade'
    GROUP BY venue, account
),

calendar_days AS (
    SELECT a.venue, a.account, day::date AS date
    FROM venue_periods AS p
    JOIN accounts AS a ON a.venue = p.venue
    LEFT JOIN made AS m ON m.venue = a.venue AND m.account = a.account
    CROSS JOIN LATERAL generate_series(
        greatest(p.first_day, m.first_day)::timestamp, p.last_day::timestamp, interval '1 day'
    ) AS days(day)
    WHERE p.calendar = 'daily' OR (p.calendar = 'weekdays' AND extract(isodow FROM day) < 6)
),

stated_days AS (
    SELECT d.venue, d.account, d.date, d.expected_because
    FROM (
        SELECT venue, account, date, 'statement' AS expected_because FROM statement_days
        UNION ALL
        SELECT venue, account, date, 'flow' FROM flow_days
    ) AS d
    JOIN venue_periods AS p ON p.venue = d.venue
    WHERE p.calendar = 'stated' AND d.date BETWEEN p.first_day AND p.last_day
),

days AS (
    -- One reason is enough, the strongest; a row alone (a snapshot on a day that expects none) comes last.
    SELECT venue, account, date, min(strength) AS strength
    FROM (
        SELECT venue, account, date, 1 AS strength FROM calendar_days
        UNION ALL
        SELECT venue, account, date, CASE expected_because WHEN 'statement' THEN 2 ELSE 3 END FROM stated_days
        UNION ALL
        SELECT venue, account, date, 4 FROM row_days
    ) AS reasons
    GROUP BY venue, account, date
)

SELECT
    d.date,
    d.venue,
    d.account,
    (ARRAY['calendar', 'statement', 'flow', 'row'])[d.strength] AS expected_because,
    coalesce(r.scanned, 0) AS scanned,
    coalesce(r.matched, 0) AS matched,
    coalesce(r.variances, 0) AS variances,
    coalesce(r.incomplete, 0) AS incomplete,
    coalesce(r.pending, 0) AS pending,
    coalesce(r.timing, 0) AS timing,
    coalesce(r.openings, 0) AS openings,
    coalesce(r.informational, 0) AS informational,
    coalesce(r.usd_at_variance, 0)::numeric(38, 8) AS usd_at_variance,
    coalesce(r.unpriced_variances, 0) AS unpriced_variances
FROM days AS d
LEFT JOIN row_days AS r ON r.venue = d.venue AND r.account = d.account AND r.date = d.date
