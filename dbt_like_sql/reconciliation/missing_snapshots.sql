-- Expected days on which a wallet that was stated before has no snapshot: a row for every asset of its last one.
WITH wallet_days AS (
    SELECT account, wallet, date FROM snapshots
    UNION ALL
    SELECT account, wallet, last_date AS date FROM carried_wallets
),

wallets AS (
    SELECT account, wallet, min(date) AS first_date
    FROM wallet_days
    GROUP BY account, wallet
),

account_days AS (
    SELECT DISTINCT account, date FROM snapshots
),

absent AS (
    SELECT wallets.account, wallets.wallet, days.date
    FROM days
    INNER JOIN wallets ON wallets.first_date < days.date
    ANTI JOIN snapshots
        ON wallets.account = snapshots.account AND wallets.wallet = snapshots.wallet AND days.date = snapshots.date
    LEFT JOIN account_days ON wallets.account = account_days.account AND days.date = account_days.date
    WHERE CASE getvariable('calendar') WHEN 'stated' THEN account_days.date IS NOT NULL ELSE days.is_expected END
),

last_seen AS (
    SELECT absent.account, absent.wallet, absent.date, wallet_days.date AS last_date
    FROM absent
    ASOF INNER JOIN wallet_days
        ON
            absent.account = wallet_days.account
            AND absent.wallet = wallet_days.wallet
            AND absent.date > wallet_days.date
),

assets AS (
    SELECT account, wallet, asset, date FROM stated
    UNION ALL
    SELECT account, wallet, asset, date FROM unknown_cells
    UNION ALL
    SELECT account, wallet, asset, wallet_date AS date FROM carried_positions WHERE in_last_snapshot
)

SELECT DISTINCT last_seen.account, last_seen.wallet, assets.asset, last_seen.date, last_seen.last_date
FROM last_seen
INNER JOIN assets
    ON
        last_seen.account = assets.account
        AND last_seen.wallet = assets.wallet
        AND last_seen.last_date = assets.date
