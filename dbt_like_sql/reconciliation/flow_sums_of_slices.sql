-- The flows of every window, summed into the five buckets, where all windows begin and end at cuts of the venue: a
-- window is made of the slices between its two cuts.
WITH sliced AS (
    SELECT
        grid.position_id,
        grid.date,
        unnest(range(window_start.ordinal + 1, window_end.ordinal + 1)) AS slice
    FROM grid
    INNER JOIN cuts AS window_start ON grid.window_start = window_start.instant
    INNER JOIN cuts AS window_end ON grid.window_end = window_end.instant
    WHERE grid.situation = 'tested' AND grid.window_start < grid.window_end
)

SELECT
    sliced.position_id,
    sliced.date,
    sum(flow_slices.transfers_in) AS transfers_in,
    sum(flow_slices.transfers_out) AS transfers_out,
    sum(flow_slices.trades_in) AS trades_in,
    sum(flow_slices.trades_out) AS trades_out,
    sum(flow_slices.fees) AS fees,
    sum(flow_slices.loan) AS loan,
    sum(flow_slices.interest) AS interest,
    sum(flow_slices.flow_count)::BIGINT AS flow_count
FROM flow_slices
INNER JOIN positions USING (account, wallet, asset)
INNER JOIN sliced USING (position_id, slice)
GROUP BY sliced.position_id, sliced.date
