-- Figures that moved after they had been published.
SELECT
    restated_at,
    date,
    venue,
    account,
    wallet,
    asset,
    column_name,
    old_value,
    new_value,
    new_value - old_value AS moved_by,
    old_status,
    new_status,
    run_id,
    -- what was not there before was never relied on; a row that was not there at all said that nothing was held or moved
    old_status IS NOT NULL AND (old_value IS NULL OR old_status IN ('pending', 'incomplete')) AS is_first_figure
FROM recon.restatements
