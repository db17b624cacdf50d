-- Variances of a position, added up since its wallet's opening: they telescope to actual - opening - every flow since.
WITH positions AS NOT MATERIALIZED (
    SELECT
        r.venue, r.account, r.wallet, r.asset,
        max(r.date) AS last_date,
        coalesce(bool_or(r.variance_in_asset <> 0), false) AS has_differed,
        (
            SELECT t.tolerance
            FROM recon.tolerances AS t
            WHERE t.kind = 'cumulative' AND t.venue = r.venue
                AND (t.account IS NULL OR t.account = r.account) AND (t.asset IS NULL OR t.asset = r.asset)
            ORDER BY t.rank
            LIMIT 1
        ) AS cumulative_tolerance
    FROM recon.reconciliation AS r
    GROUP BY r.venue, r.account, r.wallet, r.asset
),

in_epochs AS NOT MATERIALIZED (
    SELECT
        r.date, r.venue, r.account, r.wallet, r.asset, r.status, r.variance_in_asset, r.usd_price,
        coalesce(p.cumulative_tolerance, r.tolerance) AS cumulative_tolerance,
        w.opened_on, w.next_opened_on, p.last_date, p.has_differed
    FROM recon.reconciliation AS r
    JOIN positions AS p
        ON p.venue = r.venue AND p.account = r.account AND p.wallet = r.wallet AND p.asset = r.asset
    LEFT JOIN marts.wallet_openings AS w
        ON w.venue = r.venue AND w.account = r.account AND w.wallet = r.wallet
        AND r.date >= w.opened_on AND (w.next_opened_on IS NULL OR r.date < w.next_opened_on)
),

deadlines AS (
    SELECT venue, account, wallet, asset, max(expected_by) AS expected_by
    FROM recon.expected
    GROUP BY venue, account, wallet, asset
),

-- Most positions never differ: those that did are summed day by day, of the others the last day says it all.
summed AS (
    SELECT
        e.*,
        coalesce(sum(e.variance_in_asset) OVER so_far, 0) AS cumulative_variance,
        coalesce(sum(CASE WHEN e.status = 'pending' THEN e.variance_in_asset END) OVER so_far, 0) AS not_yet_due,
        coalesce(sum(CASE WHEN e.status = 'timing' THEN e.variance_in_asset END) OVER so_far, 0) AS expected,
        coalesce(lead(e.date) OVER in_order, e.next_opened_on) AS stands_until
    FROM in_epochs AS e
    WHERE e.has_differed
    WINDOW
        so_far AS (
            PARTITION BY e.venue, e.account, e.wallet, e.asset, e.opened_on ORDER BY e.date
            ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
        ),
        in_order AS (PARTITION BY e.venue, e.account, e.wallet, e.asset, e.opened_on ORDER BY e.date)
),

judged AS (
    -- What is not yet due, and what a named item explains until its deadline, waits; all else counts from its day on.
    SELECT
        s.*,
        CASE
            WHEN abs(s.cumulative_variance - s.not_yet_due - s.expected) > s.cumulative_tolerance THEN s.date
            WHEN abs(s.cumulative_variance - s.not_yet_due) > s.cumulative_tolerance
                THEN greatest(s.date, coalesce(d.expected_by + 1, s.date))
        END AS counts_from
    FROM summed AS s
    LEFT JOIN deadlines AS d
        ON d.venue = s.venue AND d.account = s.account AND d.wallet = s.wallet AND d.asset = s.asset
),

all_positions AS (
    SELECT
        date, venue, account, wallet, asset, opened_on, next_opened_on, last_date, status, variance_in_asset, usd_price,
        cumulative_tolerance, cumulative_variance, expected, not_yet_due, stands_until,
        coalesce(counts_from = date, false) AS is_beyond,
        abs(cumulative_variance) > cumulative_tolerance AND counts_from IS DISTINCT FROM date AS is_waiting,
        CASE WHEN counts_from < coalesce(stands_until, 'infinity') THEN counts_from END AS beyond_from
    FROM judged
    UNION ALL
    SELECT
        date, venue, account, wallet, asset, opened_on, next_opened_on, last_date, status, variance_in_asset, usd_price,
        cumulative_tolerance, 0, 0, 0, NULL, false, false, NULL
    FROM in_epochs
    WHERE NOT has_differed AND date = last_date
)

SELECT
    date,
    venue,
    account,
    wallet,
    asset,
    opened_on,
    status,
    variance_in_asset,
    cumulative_variance,
    expected AS expected_in_asset,
    not_yet_due AS pending_in_asset,
    cumulative_tolerance,
    is_beyond,
    is_waiting,
    beyond_from,
    CASE WHEN is_waiting OR beyond_from IS NOT NULL THEN stands_until END AS beyond_until,
    date = last_date AND next_opened_on IS NULL AS is_latest,
    round(cumulative_variance * usd_price, 8) AS cumulative_variance_in_usd
FROM all_positions
