-- The statement appears on every business day and tells of the whole day: from the opening balance to its last day's close.
SELECT
    'Treasury General Account' AS account,
    'transfers' AS stream,
    '2022-04-15T23:59:59.999999Z' AS window_start,
    max(record_date) || 'T23:59:59.999999Z' AS window_end,
    'complete' AS status,
    filename AS file
FROM statement
WHERE record_date >= '2022-04-15'
GROUP BY filename
