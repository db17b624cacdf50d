-- One verdict for each account and day: the first of red, incomplete, pending, opening and green that holds.
WITH sums_beyond AS (
    -- A sum beyond its tolerance stands over every day until the position's next row.
    SELECT
        d.venue, d.account, day::date AS date,
        count(*) FILTER (WHERE day >= d.beyond_from) AS drifting,
        count(*) FILTER (WHERE d.beyond_from IS NULL OR day < d.beyond_from) AS waiting
    FROM marts.cumulative_drift AS d
    JOIN (
        SELECT venue, account, max(date) AS last_day FROM marts.account_days GROUP BY venue, account
    ) AS period ON period.venue = d.venue AND period.account = d.account
    CROSS JOIN LATERAL generate_series(
        d.date::timestamp, least(d.beyond_until - 1, period.last_day)::timestamp, interval '1 day'
    ) AS days(day)
    WHERE d.is_waiting OR d.beyond_from IS NOT NULL
    GROUP BY d.venue, d.account, day
),

open_days AS (
    -- The days behind which something is open, as a set of ranges for each account.
    SELECT venue, account, status, range_agg(daterange(date + 1, closed_on)) AS days
    FROM (SELECT DISTINCT venue, account, status, date, closed_on FROM marts.holes) AS holes
    GROUP BY venue, account, status
),

open_behind AS (
    SELECT
        a.venue, a.account, a.date,
        min(CASE WHEN o.status = 'incomplete' THEN lower(stretch) - 1 END) AS incomplete_since,
        min(CASE WHEN o.status = 'pending' THEN lower(stretch) - 1 END) AS pending_since
    FROM marts.account_days AS a
    JOIN open_days AS o ON o.venue = a.venue AND o.account = a.account AND a.date <@ o.days
    CROSS JOIN LATERAL unnest(o.days) AS stretches(stretch)
    WHERE a.date <@ stretch
    GROUP BY a.venue, a.account, a.date
),

reasons AS (
    SELECT venue, account, date, string_agg(kind, ', ' ORDER BY kind) AS kinds
    FROM (SELECT DISTINCT venue, account, date, kind FROM marts.holes WHERE kind <> 'no_row') AS holes
    GROUP BY venue, account, date
),

notes AS (
    SELECT
        a.venue, a.account, a.date,
        string_agg(o.wallet || ' opened anew on ' || o.opened_on || ': ' || o.note, '; ' ORDER BY o.wallet) AS note
    FROM marts.account_days AS a
    JOIN marts.wallet_openings AS o
        ON o.venue = a.venue AND o.account = a.account AND o.note IS NOT NULL
        AND o.opened_on <= a.date AND (o.next_opened_on IS NULL OR a.date < o.next_opened_on)
    GROUP BY a.venue, a.account, a.date
),

judged AS (
    SELECT
        a.*,
        coalesce(b.drifting, 0) AS drifting,
        coalesce(b.waiting, 0) AS waiting,
        behind.incomplete_since,
        behind.pending_since,
        reasons.kinds,
        notes.note,
        CASE
            WHEN a.variances > 0 OR b.drifting > 0 THEN 'red'
            WHEN a.scanned = 0 OR a.incomplete > 0 OR behind.incomplete_since IS NOT NULL THEN 'incomplete'
            WHEN a.pending > 0 OR a.timing > 0 OR b.waiting > 0 OR behind.pending_since IS NOT NULL THEN 'pending'
            WHEN a.openings = a.scanned THEN 'opening'
            ELSE 'green'
        END AS verdict
    FROM marts.account_days AS a
    LEFT JOIN sums_beyond AS b ON b.venue = a.venue AND b.account = a.account AND b.date = a.date
    LEFT JOIN open_behind AS behind
        ON behind.venue = a.venue AND behind.account = a.account AND behind.date = a.date
    LEFT JOIN reasons ON reasons.venue = a.venue AND reasons.account = a.account AND reasons.date = a.date
    LEFT JOIN notes ON notes.venue = a.venue AND notes.account = a.account AND notes.date = a.date
)

SELECT
    date,
    venue,
    account,
    verdict,
    concat_ws(
        '; ',
        CASE WHEN variances > 0 THEN 'rows at variance: ' || variances END,
        CASE WHEN drifting > 0 THEN 'positions whose cumulative variance is beyond tolerance: ' || drifting END,
        CASE WHEN scanned = 0 THEN 'no row: the day was not run, or nothing states a balance' END,
        CASE WHEN incomplete > 0 THEN 'incomplete rows: ' || incomplete || ' (' || kinds || ')' END,
        'open behind it since ' || incomplete_since,
        CASE WHEN pending > 0 THEN 'rows not yet due: ' || pending || ' (' || kinds || ')' END,
        CASE WHEN timing > 0 THEN 'rows explained until a deadline: ' || timing END,
        CASE WHEN waiting > 0 THEN 'positions whose cumulative variance waits for what is expected: ' || waiting END,
        'not yet due behind it since ' || pending_since,
        CASE WHEN verdict = 'opening' THEN 'first snapshots: ' || openings END,
        CASE WHEN verdict = 'green' THEN 'rows within tolerance: ' || matched || ' of ' || scanned END,
        CASE WHEN informational > 0 THEN 'rows of which nothing is rolled: ' || informational END,
        note
    ) AS why,
    expected_because,
    scanned,
    matched,
    variances,
    incomplete,
    pending,
    timing,
    openings,
    informational,
    drifting,
    waiting,
    incomplete_since AS open_since,
    usd_at_variance,
    unpriced_variances,
    note AS opening_note
FROM judged
