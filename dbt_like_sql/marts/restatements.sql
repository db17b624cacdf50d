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
    -- unless nobody had stated the wallet of that day. And a figure may have counted before something that it rests on
    -- was missed.
    CASE
        WHEN r.old_status IS NOT NULL THEN r.old_value IS NULL OR r.old_status IN ('pending', 'incomplete')
        WHEN r.new_status = 'opening' THEN true
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
