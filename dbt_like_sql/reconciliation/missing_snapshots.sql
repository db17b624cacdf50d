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
)

SELECT last_seen.account, last_seen.wallet, stated.asset, last_seen.date, last_seen.last_date
FROM last_seen
INNER JOIN stated
    ON
        last_seen.account = stated.account
        AND last_seen.wallet = stated.wallet
        AND last_seen.last_date = stated.date
UNION
SELECT last_seen.account, last_seen.wallet, unknown_cells.asset, last_seen.date, last_seen.last_date
FROM last_seen
INNER JOIN unknown_cells
    ON
        last_seen.account = unknown_cells.account
        AND last_seen.wallet = unknown_cells.wallet
        AND last_seen.last_date = unknown_cells.date
UNION
SELECT last_seen.account, last_seen.wallet, carried_positions.asset, last_seen.date, last_seen.last_date
FROM last_seen
INNER JOIN carried_positions
    ON
        last_seen.account = carried_positions.account
        AND last_seen.wallet = carried_positions.wallet
        AND last_seen.last_date = carried_positions.wallet_date
        AND carried_positions.in_last_snapshot
