-- Wallets that only flows tell of: from the day of the first flow until the wallet's first snapshot, a row for every
-- asset that flows told of so far.
WITH first_snapshots AS (
    SELECT account, wallet, min(date) AS first_date
    FROM (
        SELECT account, wallet, date FROM snapshots
        UNION ALL
        SELECT account, wallet, last_date FROM carried_wallets
    )
    GROUP BY account, wallet
),

account_days AS (
    SELECT account, date FROM snapshots
    UNION
    SELECT account, date FROM flow_days
)

SELECT told.account, told.wallet, told.asset, days.date
FROM first_flows AS told
INNER JOIN days ON told.first_day <= days.date
LEFT JOIN first_snapshots
    ON
        told.account = first_snapshots.account
        AND told.wallet = first_snapshots.wallet
LEFT JOIN account_days ON told.account = account_days.account AND days.date = account_days.date
WHERE
    coalesce(first_snapshots.first_date > days.date, TRUE)
    AND CASE getvariable('calendar') WHEN 'stated' THEN account_days.date IS NOT NULL ELSE days.is_expected END
