-- Everything that keeps later days from being green: an incomplete or pending row, or a day that was never computed.
WITH holes_in_rows AS (
    SELECT
        venue, account, wallet, asset, date, status, discrepancy_type,
        CASE
            WHEN discrepancy_type = 'never_stated' THEN 'opening'
            WHEN discrepancy_type IN ('missing_snapshot', 'quarantined_balance', 'absence_unknown', 'as_of_before_start')
                THEN 'window'
            ELSE 'filling'
        END AS closed_by
    FROM recon.reconciliation
    WHERE status IN ('incomplete', 'pending')
),

-- A window closes a day without a usable snapshot if it is complete and starts where the position last stood before.
positions_passed_over AS (
    SELECT DISTINCT venue, account, wallet, asset FROM holes_in_rows WHERE closed_by = 'window'
),

around AS (
    SELECT
        r.venue, r.account, r.wallet, r.asset, r.date,
        max(r.window_end) OVER before AS stood_until,
        min(CASE WHEN r.status IN ('matched', 'variance', 'timing', 'informational') THEN r.date END) OVER behind
            AS complete_on,
        min(CASE WHEN r.status IN ('matched', 'variance', 'timing') THEN r.window_start END) OVER behind
            AS complete_from,
        lead(r.date) OVER in_order AS next_date
    FROM recon.reconciliation AS r
    JOIN positions_passed_over AS p
        ON p.venue = r.venue AND p.account = r.account AND p.wallet = r.wallet AND p.asset = r.asset
    WINDOW
        in_order AS (PARTITION BY r.venue, r.account, r.wallet, r.asset ORDER BY r.date),
        before AS (
            PARTITION BY r.venue, r.account, r.wallet, r.asset ORDER BY r.date
            ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        ),
        -- The rows behind it in time, read backwards so that the minimum only ever grows by a row.
        behind AS (
            PARTITION BY r.venue, r.account, r.wallet, r.asset ORDER BY r.date DESC
            ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        )
),

wallet_days AS (
    SELECT
        r.venue, r.account, r.wallet, r.date,
        bool_or(r.discrepancy_type IS NULL OR r.discrepancy_type NOT IN ('missing_snapshot', 'never_stated'))
            AS has_snapshot
    FROM recon.reconciliation AS r
    JOIN (SELECT DISTINCT venue, account, wallet FROM positions_passed_over) AS p
        ON p.venue = r.venue AND p.account = r.account AND p.wallet = r.wallet
    GROUP BY r.venue, r.account, r.wallet, r.date
),

next_snapshots AS (
    SELECT
        venue, account, wallet, date,
        min(CASE WHEN has_snapshot THEN date END) OVER (
            PARTITION BY venue, account, wallet ORDER BY date DESC
            ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        ) AS next_snapshot_on
    FROM wallet_days
),

passed_over AS (
    SELECT
        h.venue, h.account, h.wallet, h.asset, h.date, h.status, h.discrepancy_type,
        CASE
            -- Nothing was held and nothing moved: the next snapshot has no row of the position, which is its proof.
            WHEN n.next_snapshot_on < coalesce(a.next_date, 'infinity') THEN n.next_snapshot_on
            -- A venue without flows rolls nothing: its next snapshot is all there is to wait for.
            WHEN a.complete_from IS NULL
                OR a.complete_from <= coalesce(a.stood_until, a.date::timestamp AT TIME ZONE 'UTC') THEN a.complete_on
        END AS closed_on
    FROM holes_in_rows AS h
    JOIN around AS a
        ON a.venue = h.venue AND a.account = h.account AND a.wallet = h.wallet AND a.asset = h.asset AND a.date = h.date
    JOIN next_snapshots AS n
        ON n.venue = h.venue AND n.account = h.account AND n.wallet = h.wallet AND n.date = h.date
    WHERE h.closed_by = 'window'
),

-- A day without any row belongs to no wallet; it stays open in each of the account's, until it is run.
days_without_rows AS (
    SELECT d.venue, d.account, d.date, d.expected_because, min(later.date) AS next_row_on
    FROM marts.account_days AS d
    LEFT JOIN marts.account_days AS later
        ON later.venue = d.venue AND later.account = d.account AND later.date > d.date AND later.scanned > 0
        -- Only a flow between two statements waits for the next one; any other such day waits to be run.
        AND d.expected_because = 'flow'
    WHERE d.scanned = 0
    GROUP BY d.venue, d.account, d.date, d.expected_because
),

wallets AS (
    SELECT DISTINCT venue, account, wallet FROM recon.reconciliation
),

all_holes AS (
    SELECT venue, account, wallet, asset, date, status, discrepancy_type AS kind, 'window' AS closed_by, closed_on
    FROM passed_over
    UNION ALL
    SELECT venue, account, wallet, asset, date, status, discrepancy_type, closed_by, NULL
    FROM holes_in_rows
    WHERE closed_by <> 'window'
    UNION ALL
    SELECT
        d.venue, d.account, w.wallet, NULL, d.date, 'incomplete', 'no_row',
        CASE d.expected_because WHEN 'flow' THEN 'window' ELSE 'filling' END,
        d.next_row_on
    FROM days_without_rows AS d
    LEFT JOIN wallets AS w ON w.venue = d.venue AND w.account = d.account
)

SELECT
    h.date,
    h.venue,
    h.account,
    h.wallet,
    h.asset,
    h.status,
    h.kind,
    h.closed_by,
    least(h.closed_on, min(o.opened_on)) AS closed_on,
    least(h.closed_on, min(o.opened_on)) IS NULL AS is_open
FROM all_holes AS h
LEFT JOIN marts.wallet_openings AS o
    ON o.venue = h.venue AND o.account = h.account AND o.wallet = h.wallet AND o.opened_on > h.date
GROUP BY h.date, h.venue, h.account, h.wallet, h.asset, h.status, h.kind, h.closed_by, h.closed_on
