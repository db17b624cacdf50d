-- Over which instants flows the rows of the run's days may rest: at least as far back as they do. Reads the whole frame
-- `balances`, `quarantined` (account, wallet, date; null where it cannot be told) and `bounds` (first_day, last_day).
WITH wallet_days AS (
    SELECT account, wallet, date, max(read_at) AS read_at
    FROM balances
    GROUP BY account, wallet, date
),

-- of each wallet the last day before the run that nothing refused can have spoiled
clean_days AS (
    SELECT wallet_days.account, wallet_days.wallet, max(wallet_days.date) AS date
    FROM wallet_days, bounds
    WHERE
        wallet_days.date < bounds.first_day
        AND NOT EXISTS (
            SELECT 1
            FROM quarantined AS q
            WHERE
                coalesce(q.account = wallet_days.account, TRUE)
                AND coalesce(q.wallet = wallet_days.wallet, TRUE)
                AND coalesce(q.date = wallet_days.date, TRUE)
        )
    GROUP BY wallet_days.account, wallet_days.wallet
),

before_run AS (
    SELECT wallet_days.account, wallet_days.wallet, min(wallet_days.date) AS first_date
    FROM wallet_days, bounds
    WHERE wallet_days.date < bounds.first_day
    GROUP BY wallet_days.account, wallet_days.wallet
),

starts AS (
    SELECT balances.account, balances.wallet, balances.asset, balances.date, max(balances.as_of) AS as_of
    FROM balances
    INNER JOIN clean_days USING (account, wallet, date)
    GROUP BY balances.account, balances.wallet, balances.asset, balances.date
),

-- wallets in which an earlier cell has a later as_of than the clean day's: their starts may lie anywhere
unordered AS (
    SELECT starts.account, starts.wallet
    FROM starts
    INNER JOIN balances AS earlier
        ON
            starts.account = earlier.account
            AND starts.wallet = earlier.wallet
            AND starts.asset = earlier.asset
            AND starts.date > earlier.date
            AND starts.as_of < earlier.as_of
    UNION
    SELECT starts.account, starts.wallet
    FROM starts
    INNER JOIN wallet_days AS earlier
        ON
            starts.account = earlier.account
            AND starts.wallet = earlier.wallet
            AND starts.date > earlier.date
            AND starts.as_of < earlier.read_at
    ANTI JOIN balances AS stated
        ON
            starts.account = stated.account
            AND starts.wallet = stated.wallet
            AND starts.asset = stated.asset
            AND earlier.date = stated.date
),

from_days AS (
    SELECT
        before_run.account,
        before_run.wallet,
        CASE WHEN unordered.account IS NULL THEN coalesce(clean_days.date, before_run.first_date)
            ELSE before_run.first_date
        END AS date
    FROM before_run
    LEFT JOIN clean_days USING (account, wallet)
    LEFT JOIN unordered USING (account, wallet)
),

run_cells AS (
    SELECT balances.account, balances.wallet, balances.asset, max(balances.as_of) AS as_of
    FROM balances, bounds
    WHERE balances.date BETWEEN bounds.first_day AND bounds.last_day
    GROUP BY balances.account, balances.wallet, balances.asset
),

run_ends AS (
    SELECT max(balances.read_at) AS last_instant
    FROM balances, bounds
    WHERE balances.date BETWEEN bounds.first_day AND bounds.last_day
),

-- a position whose as_of does not move has an empty window, however long ago it was cut
reached AS (
    SELECT balances.as_of AS instant
    FROM balances
    INNER JOIN from_days
        ON
            balances.account = from_days.account
            AND balances.wallet = from_days.wallet
            AND balances.date >= from_days.date
    INNER JOIN bounds ON balances.date < bounds.first_day
    LEFT JOIN run_cells
        ON
            balances.account = run_cells.account
            AND balances.wallet = run_cells.wallet
            AND balances.asset = run_cells.asset
    WHERE coalesce(run_cells.as_of <> balances.as_of, TRUE)
    UNION ALL
    SELECT wallet_days.read_at AS instant
    FROM wallet_days
    INNER JOIN from_days USING (account, wallet)
    INNER JOIN bounds ON wallet_days.date < bounds.first_day
    WHERE wallet_days.date >= from_days.date
    UNION ALL
    SELECT balances.as_of AS instant
    FROM balances
    INNER JOIN bounds ON balances.date BETWEEN bounds.first_day AND bounds.last_day
)

SELECT
    (SELECT min(instant) FROM reached) AS first_instant,
    (SELECT last_instant FROM run_ends) AS last_instant
