-- A wallet begins with its first snapshot, and anew with the first one on or after the date of a declared opening.
WITH stated AS (
    SELECT DISTINCT venue, account, wallet, date
    FROM recon.reconciliation
    WHERE status = 'opening'
),

declared AS (
    -- Taken from the snapshot's rows, whatever their status: all of its cells may be quarantined.
    SELECT o.venue, o.account, o.wallet, o.note, min(r.date) AS date
    FROM recon.openings AS o
    JOIN recon.reconciliation AS r
        ON r.venue = o.venue AND r.account = o.account AND r.wallet = o.wallet AND r.date >= o.date
    WHERE r.discrepancy_type IS NULL OR r.discrepancy_type NOT IN ('missing_snapshot', 'never_stated')
    GROUP BY o.venue, o.account, o.wallet, o.date, o.note
),

beginnings AS (
    SELECT venue, account, wallet, date, NULL AS note FROM stated
    UNION ALL
    SELECT venue, account, wallet, date, note FROM declared
)

SELECT
    venue,
    account,
    wallet,
    date AS opened_on,
    lead(date) OVER (PARTITION BY venue, account, wallet ORDER BY date) AS next_opened_on,
    string_agg(note, '; ' ORDER BY note) AS note
FROM beginnings
GROUP BY venue, account, wallet, date
