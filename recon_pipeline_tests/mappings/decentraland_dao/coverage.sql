-- A file holds the transfers of the year in its name: all of them if a later year has a file, else up to its newest row,
-- for it was written after that. It holds every account that the balances list.
WITH file AS (
    SELECT filename, regexp_extract(filename, '[0-9]{4}') AS year, max("Date") AS newest
    FROM movement
    GROUP BY filename
),
period AS (
    SELECT
        filename,
        year || '-01-01T00:00:00Z' AS window_start,
        CASE
            WHEN year < (SELECT max(year) FROM file) THEN CAST(CAST(year AS INTEGER) + 1 AS VARCHAR) || '-01-01T00:00:00Z'
            ELSE newest
        END AS window_end
    FROM file
)
SELECT account, 'transfers' AS stream, window_start, window_end, 'complete' AS status, filename AS file
FROM period CROSS JOIN (SELECT DISTINCT "Wallet" AS account FROM balance)
