-- The flows between one cut of the venue and the next, summed by position into the buckets. Slice n holds what came after
-- the cut before the n-th and up to the n-th. What slice_days says stands in variables: the day is the same for a whole
-- partition, and a join would be paid for every flow.
WITH placed AS (
    SELECT
        account,
        wallet,
        asset,
        getvariable('slice_of_day')[utc_day - getvariable('first_slice_day') + 1]
        + coalesce((datetime > getvariable('cut_of_day')[utc_day - getvariable('first_slice_day') + 1])::INTEGER, 0)
            AS slice,
        bucket_of(txn_subtype, measure, amount) AS bucket,
        amount
    FROM flows
)

SELECT
    account,
    wallet,
    asset,
    slice,
    sum(CASE WHEN bucket = 1 THEN amount END) AS transfers_in,
    sum(CASE WHEN bucket = 2 THEN amount END) AS transfers_out,
    sum(CASE WHEN bucket = 3 THEN amount END) AS trades_in,
    sum(CASE WHEN bucket = 4 THEN amount END) AS trades_out,
    sum(CASE WHEN bucket = 5 THEN amount END) AS fees,
    sum(CASE WHEN bucket = 6 THEN amount END) AS loan,
    sum(CASE WHEN bucket = 7 THEN amount END) AS interest,
    count(*) AS flow_count
FROM placed
GROUP BY account, wallet, asset, slice
