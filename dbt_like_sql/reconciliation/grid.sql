-- The expected grid, before any flow is read: what stands on each of the run's days for each position, and why a
-- window cannot be tested.
SELECT
    date,
    position_id,
    situation,
    is_listed,
    start_as_of AS window_start,
    window_end,
    start_date,
    start_balance,
    balance AS actual_balance
FROM windows
WHERE kind <> 'carried' AND NOT (situation = 'opening' AND NOT is_listed)
