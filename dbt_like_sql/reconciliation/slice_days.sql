-- Of each UTC day the slice that it begins in, and the cut that it holds, if any.
SELECT
    flow_partitions.utc_day,
    cuts.instant AS cut,
    (SELECT count(*) FROM cuts AS earlier WHERE earlier.instant < flow_partitions.utc_day::TIMESTAMPTZ) + 1 AS slice
FROM flow_partitions
LEFT JOIN cuts USING (utc_day)
