-- Every position that anything tells of, numbered, with its tolerance (the first rule found: the lowest rank) and the
-- asset that its coverage is to be proved by: its own where any coverage row of the account names it.
WITH known AS (
    SELECT account, wallet, asset FROM carried_positions
    UNION
    SELECT account, wallet, asset FROM stated
    UNION
    SELECT account, wallet, asset FROM unknown_cells
    UNION
    SELECT account, wallet, asset FROM undated_cells
    UNION
    SELECT account, wallet, asset FROM positions_told_by_flows
),

ruled AS (
    SELECT known.account, known.wallet, known.asset, arg_min(rules.tolerance, rules.rank) AS tolerance
    FROM known
    LEFT JOIN tolerance_rules AS rules
        ON coalesce(rules.account = known.account, TRUE) AND coalesce(rules.asset = known.asset, TRUE)
    GROUP BY known.account, known.wallet, known.asset
),

named AS (
    SELECT DISTINCT account, asset FROM coverage_scopes
)

SELECT
    row_number() OVER (ORDER BY ruled.account, ruled.wallet, ruled.asset) AS position_id,
    ruled.account,
    ruled.wallet,
    ruled.asset,
    coalesce(ruled.tolerance, 0)::DECIMAL(36, 18) AS tolerance,
    named.asset AS proved_by,
    -- the part of the wallet's name by which a venue's streams say whom they move
    CASE WHEN getvariable('has_families') THEN split_part(ruled.wallet, ':', 1) END AS family
FROM ruled
LEFT JOIN named USING (account, asset)
