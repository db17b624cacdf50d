-- The expected grid, before any flow is read: what stands on each of the run's days for each position, and why a
-- window cannot be tested. `is_listed` says that the row stands even if no flow moved it.
WITH stated_days AS (
    SELECT
        windows.date,
        windows.position_id,
        CASE
            WHEN windows.kind = 'quarantined' THEN 'quarantined_balance'
            WHEN windows.kind = 'unknown' THEN 'absence_unknown'
            WHEN windows.is_opening THEN 'opening'
            WHEN windows.start_as_of IS NULL THEN 'no_start'
            WHEN windows.as_of < windows.start_as_of AND windows.balance <> windows.start.balance
                THEN 'as_of_before_start'
            ELSE 'tested'
        END AS situation,
        windows.kind IN ('stated', 'quarantined')
        OR (
            NOT windows.is_opening
            AND (
                windows.start_as_of IS NULL
                OR windows.start.balance <> 0
                OR windows.start.loan <> 0
                OR windows.start.interest <> 0
            )
        ) AS is_listed,
        windows.start_as_of AS window_start,
        CASE
            WHEN
                getvariable('has_streams')
                AND windows.as_of < windows.start_as_of
                AND windows.balance = windows.start.balance
                THEN windows.start_as_of
            ELSE windows.as_of
        END AS window_end,
        windows.start.date AS start_date,
        windows.start.balance AS start_balance,
        windows.start.loan AS start_loan,
        windows.start.interest AS start_interest,
        windows.balance AS actual_balance,
        windows.loan,
        windows.interest,
        windows.stated_loan,
        windows.stated_interest,
        windows.stated_pnl
    FROM windows
    INNER JOIN days USING (date)
    WHERE windows.kind <> 'carried'
),

unstated_days AS (
    SELECT missing.date, positions.position_id, 'missing_snapshot' AS situation, missing.last_date AS start_date
    FROM missing_snapshots AS missing
    INNER JOIN positions USING (account, wallet, asset)
    UNION ALL
    SELECT never_stated.date, positions.position_id, 'never_stated' AS situation, NULL AS start_date
    FROM never_stated
    INNER JOIN positions USING (account, wallet, asset)
),

-- a quarantined cell on a day without any snapshot of its wallet still has its row
quarantined_days AS (
    SELECT unknown_cells.date, positions.position_id, 'quarantined_balance' AS situation, NULL::DATE AS start_date
    FROM unknown_cells
    INNER JOIN days USING (date)
    INNER JOIN positions USING (account, wallet, asset)
    ANTI JOIN snapshots
        ON
            unknown_cells.account = snapshots.account
            AND unknown_cells.wallet = snapshots.wallet
            AND unknown_cells.date = snapshots.date
    ANTI JOIN unstated_days
        ON unknown_cells.date = unstated_days.date AND positions.position_id = unstated_days.position_id
)

SELECT * FROM stated_days WHERE NOT (situation = 'opening' AND NOT is_listed)
UNION ALL BY NAME
SELECT *, TRUE AS is_listed FROM unstated_days
UNION ALL BY NAME
SELECT *, TRUE AS is_listed FROM quarantined_days
