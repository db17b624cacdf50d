-- Figures that moved after they had been published.
WITH late_openings AS (
    SELECT DISTINCT venue, date, account, wallet
    FROM recon.restatements
    WHERE old_status IS NULL AND new_status = 'opening'
),

-- Every row that their wallets ever had, from when on it stood as it was (a row of the first run from ever), and until when
versions AS (
    SELECT venue, date, account, wallet, asset, status, replaced_at AS ended
    FROM recon.reconciliation_history
    INNER JOIN late_openings USING (venue, date, account, wallet)
    UNION ALL
    SELECT venue, date, account, wallet, asset, status, 'infinity'::timestamptz AS ended
    FROM recon.reconciliation
    INNER JOIN late_openings USING (venue, date, account, wallet)
),

appeared AS (
    SELECT venue, date, account, wallet, asset, max(restated_at) AS appeared_at
    FROM recon.restatements
    INNER JOIN late_openings USING (venue, date, account, wallet)
    WHERE old_status IS NULL
    GROUP BY venue, date, account, wallet, asset
),

stood AS (
    SELECT v.venue, v.date, v.account, v.wallet, v.status, v.ended, greatest(
        coalesce(lag(v.ended) OVER one_row, '-infinity'),
        CASE WHEN a.appeared_at <= v.ended THEN a.appeared_at ELSE '-infinity' END
    ) AS began
    FROM versions AS v
    LEFT JOIN appeared AS a USING (venue, date, account, wallet, asset)
    WINDOW one_row AS (PARTITION BY v.venue, v.date, v.account, v.wallet, v.asset ORDER BY v.ended)
)

SELECT
    r.restated_at,
    r.date,
    r.venue,
    r.account,
    r.wallet,
    r.asset,
    r.column_name,
    r.old_value,
    r.new_value,
    r.new_value - r.old_value AS moved_by,
    r.old_status,
    r.new_status,
    r.run_id,
    -- What was not there before was never relied on. A row that was not there at all said that nothing was held or moved,
    -- unless nobody had stated the wallet of that day: an opening is the first where no other row of the wallet stood
    -- there before. And a figure may have counted before something that it rests on was missed.
    CASE
        WHEN r.old_status IS NOT NULL THEN r.old_value IS NULL OR r.old_status IN ('pending', 'incomplete')
        WHEN r.new_status = 'opening' THEN NOT EXISTS (
            SELECT FROM stood AS s
            WHERE
                s.venue = r.venue AND s.date = r.date AND s.account = r.account AND s.wallet = r.wallet
                AND s.status NOT IN ('pending', 'incomplete')
                AND s.began < r.restated_at AND s.ended >= r.restated_at
        )
        ELSE EXISTS (
            SELECT FROM recon.reconciliation_history AS w
            WHERE
                w.venue = r.venue AND w.date = r.date AND w.account = r.account AND w.wallet = r.wallet
                AND w.replaced_by = r.run_id AND w.discrepancy_type IN ('missing_snapshot', 'never_stated')
        )
    END
    AND NOT EXISTS (
        SELECT FROM recon.reconciliation_history AS h
        WHERE
            h.venue = r.venue AND h.date = r.date AND h.account = r.account AND h.wallet = r.wallet AND h.asset = r.asset
            AND h.status NOT IN ('pending', 'incomplete') AND h.replaced_at <= r.restated_at
            AND to_jsonb(h) -> r.column_name <> 'null'
    ) AS is_first_figure
FROM recon.restatements AS r
