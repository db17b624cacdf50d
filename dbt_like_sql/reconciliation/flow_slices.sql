-- The flows between one cut of the venue and the next, summed by position and bucket. Slice n holds what came after the
-- cut before the n-th and up to the n-th. What slice_days says stands in variables: the day is the same for a whole
-- partition, and a join would be paid for every flow.
SELECT
    account,
    wallet,
    asset,
    getvariable('slice_of_day')[utc_day - getvariable('first_slice_day') + 1]
    + coalesce((datetime > getvariable('cut_of_day')[utc_day - getvariable('first_slice_day') + 1])::INTEGER, 0)
        AS slice,
    bucket_of(txn_subtype, measure, amount) AS bucket,
    sum(amount) AS amount,
    count(*) AS flow_count
FROM flows
GROUP BY ALL
