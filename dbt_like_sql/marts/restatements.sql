-- Figures that moved after they had been published.
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
            SELECT
            FROM (
                SELECT o.asset, o.status
                FROM recon.reconciliation AS o
                WHERE o.venue = r.venue AND o.date = r.date AND o.account = r.account AND o.wallet = r.wallet
                UNION ALL
                SELECT o.asset, o.status
                FROM recon.reconciliation_history AS o
                WHERE
                    o.venue = r.venue AND o.date = r.date AND o.account = r.account AND o.wallet = r.wallet
                    AND o.replaced_at >= r.restated_at
            ) AS stated
            WHERE
                stated.status NOT IN ('pending', 'incomplete')
                AND NOT EXISTS (
                    SELECT FROM recon.restatements AS n
                    WHERE
                        n.venue = r.venue AND n.date = r.date AND n.account = r.account AND n.wallet = r.wallet
                        AND n.asset = stated.asset AND n.old_status IS NULL AND n.restated_at >= r.restated_at
                )
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
