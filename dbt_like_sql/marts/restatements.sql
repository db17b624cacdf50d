-- Figures that moved after they had been published.
WITH late_openings AS (
    SELECT DISTINCT venue, date, account, wallet, restated_at
    FROM recon.restatements
    WHERE old_status IS NULL AND new_status = 'opening'
),

late_wallets AS (SELECT DISTINCT venue, date, account, wallet FROM late_openings),

-- Every row that their wallets ever had, and until when it stood; and when each was told of as one that had not been there
versions AS (
    SELECT
        venue, date, account, wallet, asset, status, replaced_at AS ended, NULL::timestamptz AS appeared_at
    FROM recon.reconciliation_history
    INNER JOIN late_wallets USING (venue, date, account, wallet)
    UNION ALL
    SELECT venue, date, account, wallet, asset, status, 'infinity', NULL
    FROM recon.reconciliation
    INNER JOIN late_wallets USING (venue, date, account, wallet)
    UNION ALL
    SELECT venue, date, account, wallet, asset, NULL, NULL, max(restated_at)
    FROM recon.restatements
    INNER JOIN late_wallets USING (venue, date, account, wallet)
    WHERE old_status IS NULL
    GROUP BY venue, date, account, wallet, asset
),

appeared AS (
    SELECT
        venue, date, account, wallet, asset, status, ended,
        max(appeared_at) OVER (PARTITION BY venue, date, account, wallet, asset) AS appeared_at
    FROM versions
),

-- From when on each stood as it was; a row of the first run from ever
stood AS (
    SELECT
        venue, date, account, wallet, status, ended,
        greatest(
            coalesce(lag(ended) OVER (PARTITION BY venue, date, account, wallet, asset ORDER BY ended), '-infinity'),
            CASE WHEN appeared_at <= ended THEN appeared_at ELSE '-infinity' END
        ) AS began
    FROM appeared
    WHERE status IS NOT NULL
),

-- The late openings of wallets of which another row stood by then
not_first AS (
    SELECT DISTINCT o.venue, o.date, o.account, o.wallet, o.restated_at
    FROM late_openings AS o
    INNER JOIN stood AS s USING (venue, date, account, wallet)
    WHERE s.status NOT IN ('pending', 'incomplete') AND s.began < o.restated_at AND s.ended >= o.restated_at
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
        WHEN r.new_status = 'opening' THEN n.restated_at IS NULL
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
LEFT JOIN not_first AS n
    ON
        n.venue = r.venue AND n.date = r.date AND n.account = r.account AND n.wallet = r.wallet
        AND n.restated_at = r.restated_at
