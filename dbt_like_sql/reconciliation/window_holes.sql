-- Windows that a hole in a feed touches, of those feeds that can move the wallet. An empty window is touched by none.
WITH to_prove AS (
    SELECT DISTINCT
        positions.account, positions.proved_by, positions.family, grid.window_start, grid.window_end
    FROM grid
    INNER JOIN positions USING (position_id)
    WHERE grid.situation = 'tested' AND grid.window_start < grid.window_end
),

of_streams AS (
    SELECT to_prove.*, streams.stream, scopes.asset AS scope
    FROM to_prove
    INNER JOIN streams ON coalesce(streams.family = to_prove.family, TRUE)
    LEFT JOIN coverage_scopes AS scopes
        ON
            to_prove.account = scopes.account
            AND streams.stream = scopes.stream
            AND to_prove.proved_by = scopes.asset
),

unproved AS (
    SELECT
        of_streams.account, of_streams.proved_by, of_streams.family, of_streams.window_start, of_streams.window_end
    FROM of_streams
    ANTI JOIN coverage_islands AS proof
        ON
            of_streams.account = proof.account
            AND of_streams.stream = proof.stream
            AND of_streams.scope IS NOT DISTINCT FROM proof.asset
            AND of_streams.window_start >= proof.island_start
            AND of_streams.window_end <= proof.island_end
),

unwritten AS (
    -- a partition never written is a hole, never zero flows; instants are whole microseconds
    SELECT to_prove.account, to_prove.proved_by, to_prove.family, to_prove.window_start, to_prove.window_end
    FROM to_prove
    INNER JOIN unwritten_days
        ON
            to_prove.window_end >= unwritten_days.day_start
            AND to_prove.window_start + INTERVAL 1 MICROSECOND < unwritten_days.day_end
)

SELECT * FROM unproved
UNION
SELECT * FROM unwritten
