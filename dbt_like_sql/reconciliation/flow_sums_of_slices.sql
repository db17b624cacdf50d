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
),

located AS (
    SELECT
        positions.position_id,
        flow_slices.slice,
        flow_slices.amount,
        flow_slices.flow_count,
        CASE flow_slices.measure
            WHEN 'balance' THEN coalesce(buckets.bucket, CASE WHEN flow_slices.is_in THEN 1 ELSE 2 END)
            WHEN 'loan' THEN 6
            ELSE 7
        END AS bucket
    FROM flow_slices
    INNER JOIN positions USING (account, wallet, asset)
    LEFT JOIN buckets USING (txn_subtype)
)

SELECT
    sliced.position_id,
    sliced.date,
    sum(CASE WHEN located.bucket = 1 THEN located.amount END) AS transfers_in,
    sum(CASE WHEN located.bucket = 2 THEN located.amount END) AS transfers_out,
    sum(CASE WHEN located.bucket = 3 THEN located.amount END) AS trades_in,
    sum(CASE WHEN located.bucket = 4 THEN located.amount END) AS trades_out,
    sum(CASE WHEN located.bucket = 5 THEN located.amount END) AS fees,
    sum(CASE WHEN located.bucket = 6 THEN located.amount END) AS loan,
    sum(CASE WHEN located.bucket = 7 THEN located.amount END) AS interest,
    sum(located.flow_count)::BIGINT AS flow_count
FROM located
INNER JOIN sliced USING (position_id, slice)
GROUP BY sliced.position_id, sliced.date
