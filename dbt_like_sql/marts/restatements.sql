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
    run_id
FROM recon.restatements
