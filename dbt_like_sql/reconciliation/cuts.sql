-- The instants at which snapshots of the run's days cut the flows, in order.
WITH instants AS (
    SELECT snapshots.read_at AS instant FROM snapshots INNER JOIN days USING (date)
    UNION
    SELECT coalesce(snapshots.absent_since, snapshots.opened_at) AS instant FROM snapshots INNER JOIN days USING (date)
)

SELECT
    instant,
    instant::DATE AS utc_day,
    row_number() OVER (ORDER BY instant) AS ordinal,
    count(*) OVER (PARTITION BY instant::DATE) AS cuts_of_day
FROM instants
