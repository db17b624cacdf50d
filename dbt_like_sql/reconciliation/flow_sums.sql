-- The flows of every window, summed into the five buckets. A flow meets the windows of its position that touch its
-- UTC day, at most a few, and of those the one that holds its instant.
WITH touched AS (
    SELECT
        grid.position_id,
        grid.date,
        grid.window_start,
        grid.window_end,
        positions.account,
        positions.wallet,
        positions.asset,
        unnest(generate_series(
            (grid.window_start + INTERVAL 1 MICROSECOND)::DATE, grid.window_end::DATE, INTERVAL 1 DAY
        ))::DATE AS utc_day
    FROM grid
    INNER JOIN positions USING (position_id)
    WHERE grid.situation = 'tested' AND grid.window_start < grid.window_end
),

met AS (
    SELECT
        touched.position_id,
        touched.date,
        bucket_of(flows.txn_subtype, flows.measure, flows.amount) AS bucket,
        flows.amount
    FROM flows
    INNER JOIN touched
        ON
            flows.account = touched.account
            AND flows.wallet = touched.wallet
            AND flows.asset = touched.asset
            AND flows.utc_day = touched.utc_day
            AND flows.datetime > touched.window_start
            AND flows.datetime <= touched.window_end
)

SELECT
    position_id,
    date,
    sum(CASE WHEN bucket = 1 THEN amount END) AS transfers_in,
    sum(CASE WHEN bucket = 2 THEN amount END) AS transfers_out,
    sum(CASE WHEN bucket = 3 THEN amount END) AS trades_in,
    sum(CASE WHEN bucket = 4 THEN amount END) AS trades_out,
    sum(CASE WHEN bucket = 5 THEN amount END) AS fees,
    sum(CASE WHEN bucket = 6 THEN amount END) AS loan,
    sum(CASE WHEN bucket = 7 THEN amount END) AS interest,
    count(*) AS flow_count
FROM met
GROUP BY position_id, date
