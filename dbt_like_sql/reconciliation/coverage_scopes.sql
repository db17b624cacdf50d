-- Of which assets a feed's coverage speaks by name.
SELECT DISTINCT coverage.account, streams.stream, coverage.asset
FROM coverage
INNER JOIN (SELECT DISTINCT stream FROM streams) AS streams ON coverage.stream IN (streams.stream, '*')
WHERE coverage.asset IS NOT NULL AND coverage.window_start < coverage.window_end
