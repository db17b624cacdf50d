-- The flows between one cut of the venue and the next, summed by position and kind. Slice n holds what came after the
-- cut before the n-th and up to the n-th. Kinds become buckets only once the sums are small.
WITH slice_days AS (
    SELECT
        flow_partitions.utc_day,
        cuts.instant AS cut,
        (SELECT count(*) FROM cuts AS earlier WHERE earlier.instant < flow_partitions.utc_day::TIMESTAMPTZ) + 1 AS slice
    FROM flow_partitions
    LEFT JOIN cuts USING (utc_day)
)

SELECT
    flows.account,
    flows.wallet,
    flows.asset,
    slice_days.slice + coalesce((flows.datetime > slice_days.cut)::INTEGER, 0) AS slice,
    flows.txn_subtype,
    flows.measure,
    flows.amount >= 0 AS is_in,
    sum(flows.amount) AS amount,
    count(*) AS flow_count
FROM flows
INNER JOIN slice_days USING (utc_day)
GROUP BY ALL
