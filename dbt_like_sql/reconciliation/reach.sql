-- What the rows of each day rest on: from which day on balances, over which instants flows, whether prices older than
-- three days. A null `balances_from` means: from the beginning.
WITH of_rows AS (
    SELECT
        grid.date,
        min(grid.start_date) AS balances_from,
        bool_or(grid.start_date IS NULL AND grid.situation <> 'quarantined_balance') AS rests_on_all_balances,
        min(CASE WHEN grid.situation = 'tested' THEN grid.window_start END) AS first_instant,
        max(CASE WHEN grid.situation = 'tested' THEN grid.window_end END) AS last_instant,
        bool_or(coalesce(price.price_as_of < grid.date - INTERVAL 2 DAY, TRUE)) AS rests_on_all_prices
    FROM grid
    INNER JOIN positions USING (position_id)
    LEFT JOIN price_of_day AS price USING (date, asset)
    GROUP BY grid.date
),

of_wallets AS (
    SELECT
        snapshots.date,
        bool_or(snapshots.is_opening OR snapshots.absent_since IS NULL) AS rests_on_all_balances,
        min(least(snapshots.previous_date, snapshots.absent_on)) AS balances_from,
        -- what nobody stated may have been told of since: of every asset, or a position known by chance would count
        min(CASE WHEN NOT snapshots.is_opening THEN coalesce(snapshots.absent_since, snapshots.opened_at) END)
            AS first_instant,
        max(snapshots.read_at) AS last_instant
    FROM snapshots
    GROUP BY snapshots.date
),

of_untested AS (
    SELECT date, min(since) AS first_instant
    FROM untested
    GROUP BY date
),

of_never_stated AS (
    SELECT never_stated.date, min(told.first_day) AS flows_from
    FROM never_stated
    INNER JOIN first_flows AS told USING (account, wallet, asset)
    GROUP BY never_stated.date
)

SELECT
    days.date,
    CASE
        WHEN NOT coalesce(of_rows.rests_on_all_balances, FALSE) AND NOT coalesce(of_wallets.rests_on_all_balances, FALSE)
            THEN least(of_rows.balances_from, of_wallets.balances_from, days.date)
    END AS balances_from,
    least(of_rows.first_instant, of_wallets.first_instant, of_untested.first_instant) AS first_instant,
    greatest(of_rows.last_instant, of_wallets.last_instant) AS last_instant,
    of_never_stated.flows_from,
    coalesce(of_rows.rests_on_all_prices, FALSE) AS rests_on_all_prices
FROM days
LEFT JOIN of_rows USING (date)
LEFT JOIN of_wallets USING (date)
LEFT JOIN of_untested USING (date)
LEFT JOIN of_never_stated USING (date)
ORDER BY days.date
