-- What cells state beside the balance, where they state anything: most venues never do, so it is kept apart.
SELECT
    positions.position_id,
    stated.date,
    stated.raw_loan AS loan,
    stated.raw_interest AS interest,
    stated.raw_unrealised_pnl AS unrealised_pnl,
    stated.marked_unrealised_pnl AS marked_pnl
FROM stated
INNER JOIN positions USING (account, wallet, asset)
WHERE
    coalesce(stated.raw_loan, stated.raw_interest, stated.raw_unrealised_pnl, stated.marked_unrealised_pnl) IS NOT NULL
UNION ALL
SELECT
    positions.position_id,
    carried_positions.date,
    carried_positions.loan,
    carried_positions.interest,
    NULL AS unrealised_pnl,
    NULL AS marked_pnl
FROM carried_positions
INNER JOIN positions USING (account, wallet, asset)
WHERE carried_positions.loan <> 0 OR carried_positions.interest <> 0
