-- A dollar is a dollar, on each day of a statement.
SELECT DISTINCT 'USD' AS asset, record_date || 'T00:00:00Z' AS as_of, '1' AS usd_price
FROM statement
WHERE record_date >= '2022-04-15'
