-- The closing balance of each day. It stands in close_today_bal of the account's own row until 2022-04-15, and from
-- 2022-04-18 in open_today_bal of a row named Closing Balance. Millions become dollars by moving the point.
SELECT
    'Treasury General Account' AS account,
    'TGA' AS wallet,
    'USD' AS asset,
    record_date || 'T23:59:59.999999Z' AS as_of,
    record_date AS date,
    CASE account_type
        WHEN 'Treasury General Account (TGA)' THEN amount(close_today_bal, 6)
        ELSE amount(open_today_bal, 6)
    END AS raw_balance,
    filename,
    file_line
FROM statement
WHERE
    (account_type = 'Treasury General Account (TGA)' AND record_date = '2022-04-15')
    OR (account_type = 'Treasury General Account (TGA) Closing Balance' AND record_date >= '2022-04-18')
