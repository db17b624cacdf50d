-- Over which (start, end] each feed is proved. Where rows name the asset they decide, if any covers the instant; else
-- the general ones. Of one rank, one row that counts suffices. `asset` is null for what no row of its own speaks of.
WITH told AS (
    SELECT
        coverage.account,
        streams.stream,
        coverage.asset,
        coverage.window_start,
        coverage.window_end,
        coverage.status IN ('complete', 'final', 'not_applicable') AS counts
    FROM coverage
    INNER JOIN (SELECT DISTINCT stream FROM streams) AS streams ON coverage.stream IN (streams.stream, '*')
    WHERE coverage.window_start < coverage.window_end
),

scopes AS (
    SELECT DISTINCT account, stream, NULL::VARCHAR AS asset FROM told
    UNION ALL
    SELECT DISTINCT account, stream, asset FROM told WHERE asset IS NOT NULL
),

applied AS (
    SELECT
        scopes.account,
        scopes.stream,
        scopes.asset,
        told.window_start,
        told.window_end,
        (told.asset IS NOT NULL)::INTEGER AS own,
        (told.asset IS NOT NULL AND told.counts)::INTEGER AS own_counts,
        (told.asset IS NULL AND told.counts)::INTEGER AS general_counts
    FROM scopes
    INNER JOIN told
        ON
            scopes.account = told.account
            AND scopes.stream = told.stream
            AND (told.asset IS NULL OR told.asset = scopes.asset)
),

bounds AS (
    SELECT account, stream, asset, window_start AS instant, own, own_counts, general_counts FROM applied
    UNION ALL
    SELECT account, stream, asset, window_end, -own, -own_counts, -general_counts FROM applied
),

steps AS (
    SELECT
        account,
        stream,
        asset,
        instant,
        sum(own) AS own,
        sum(own_counts) AS own_counts,
        sum(general_counts) AS general_counts
    FROM bounds
    GROUP BY account, stream, asset, instant
),

segments AS (
    SELECT
        account,
        stream,
        asset,
        instant AS segment_start,
        lead(instant) OVER in_order AS segment_end,
        CASE
            WHEN sum(own) OVER in_order > 0 THEN sum(own_counts) OVER in_order > 0
            ELSE sum(general_counts) OVER in_order > 0
        END AS is_covered
    FROM steps
    WINDOW in_order AS (PARTITION BY account, stream, asset ORDER BY instant)
),

marked AS (
    SELECT
        account,
        stream,
        asset,
        segment_start,
        segment_end,
        (
            lag(segment_end) OVER (PARTITION BY account, stream, asset ORDER BY segment_start)
            IS DISTINCT FROM segment_start
        )::INTEGER AS is_first
    FROM segments
    WHERE is_covered
),

numbered AS (
    SELECT *, sum(is_first) OVER (PARTITION BY account, stream, asset ORDER BY segment_start) AS island
    FROM marked
)

SELECT account, stream, asset, min(segment_start) AS island_start, max(segment_end) AS island_end
FROM numbered
GROUP BY account, stream, asset, island
