-- The day's deposits as one flow and its withdrawals as another, from the day on which the statement tells of both.
SELECT
    'Treasury General Account' AS account,
    'TGA' AS wallet,
    record_date || ':' || CASE account_type WHEN 'Total TGA Deposits (Table II)' THEN 'in' ELSE 'out' END AS external_id,
    record_date || 'T12:00:00Z' AS datetime,
    'USD' AS asset,
    CASE account_type
        WHEN 'Total TGA Deposits (Table II)' THEN amount(open_today_bal, 6)
        ELSE -amount(open_today_bal, 6)
    END AS amount,
    filename,
    file_line
FROM statement
WHERE
    account_type IN ('Total TGA Deposits (Table II)', 'Total TGA Withdrawals (Table II) (-)')
    AND record_date >= '2022-04-18'
