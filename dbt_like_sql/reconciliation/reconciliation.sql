-- start + flows against the snapshot: variance in asset and in USD, status, severity of the balance (`gravest_measure` looks
-- at the others).
WITH summed AS (
    SELECT
        grid.*,
        positions.account,
        positions.wallet,
        positions.asset,
        positions.tolerance,
        coalesce(flow_sums.transfers_in, 0)::DECIMAL(38, 18) AS transfers_in,
        coalesce(flow_sums.transfers_out, 0)::DECIMAL(38, 18) AS transfers_out,
        coalesce(flow_sums.trades_in, 0)::DECIMAL(38, 18) AS trades_in,
        coalesce(flow_sums.trades_out, 0)::DECIMAL(38, 18) AS trades_out,
        coalesce(flow_sums.fees, 0)::DECIMAL(38, 18) AS fees,
        coalesce(flow_sums.loan, 0)::DECIMAL(38, 18) AS loan_flows,
        coalesce(flow_sums.interest, 0)::DECIMAL(38, 18) AS interest_flows,
        coalesce(flow_sums.flow_count, 0) AS flow_count,
        spoiled.position_id IS NOT NULL AS is_spoiled,
        holes.account IS NOT NULL AS has_hole,
        grid.situation = 'tested' AND getvariable('has_streams') AS is_rolled,
        at_start.loan AS start_loan,
        at_start.interest AS start_interest,
        at_end.loan AS stated_loan,
        at_end.interest AS stated_interest,
        at_end.unrealised_pnl AS stated_pnl,
        at_end.marked_pnl
    FROM grid
    INNER JOIN positions USING (position_id)
    LEFT JOIN flow_sums USING (position_id, date)
    LEFT JOIN spoiled_windows AS spoiled USING (position_id, date)
    LEFT JOIN untested_told_of AS told_of USING (position_id, date)
    LEFT JOIN measures AS at_start
        ON grid.position_id = at_start.position_id AND grid.start_date = at_start.date
    LEFT JOIN measures AS at_end ON grid.position_id = at_end.position_id AND grid.date = at_end.date
    LEFT JOIN window_holes AS holes
        ON
            positions.account = holes.account
            AND positions.proved_by IS NOT DISTINCT FROM holes.proved_by
            AND positions.family IS NOT DISTINCT FROM holes.family
            AND grid.window_start = holes.window_start
            AND grid.window_end = holes.window_end
            AND grid.situation = 'tested'
    WHERE grid.is_listed OR flow_sums.position_id IS NOT NULL OR spoiled.is_named OR told_of.position_id IS NOT NULL
),

rolled AS (
    SELECT
        *,
        CASE WHEN is_rolled
            THEN start_balance::DECIMAL(38, 18) + transfers_in + transfers_out + trades_in + trades_out + fees
        END AS calculated_balance,
        CASE WHEN is_rolled AND getvariable('rolls_loan') THEN coalesce(start_loan, 0)::DECIMAL(38, 18) + loan_flows END
            AS loan_calculated,
        CASE WHEN is_rolled AND getvariable('rolls_interest') THEN coalesce(start_interest, 0)::DECIMAL(38, 18) + interest_flows END
            AS interest_calculated,
        situation IN ('tested', 'opening', 'no_start', 'as_of_before_start') AS is_actual_known
    FROM summed
),

compared AS (
    SELECT
        rolled.*,
        actual_balance::DECIMAL(38, 18) - calculated_balance AS variance,
        greatest(
            abs(coalesce(stated_loan, 0)::DECIMAL(38, 18) - loan_calculated),
            abs(coalesce(stated_interest, 0)::DECIMAL(38, 18) - interest_calculated)
        ) > tolerance AS other_measure_differs,
        coalesce(price.price_status, 'missing') AS price_status,
        price.usd_price
    FROM rolled
    LEFT JOIN price_of_day AS price USING (date, asset)
),

valued AS (
    SELECT
        *,
        CASE
            WHEN variance = 0 AND usd_price IS NOT NULL THEN 0::DECIMAL(38, 8)
            ELSE usd_of(abs(variance), usd_price)
        END AS usd,
        CASE
            WHEN NOT getvariable('has_streams') AND situation IN ('tested', 'no_start', 'as_of_before_start')
                THEN 'informational'
            WHEN situation = 'opening' THEN 'opening'
            WHEN situation <> 'tested' OR is_spoiled OR has_hole THEN 'incomplete'
            WHEN abs(variance) <= tolerance AND NOT coalesce(other_measure_differs, FALSE) THEN 'matched'
            ELSE 'variance'
        END AS first_status
    FROM compared
),

timed AS (
    SELECT
        valued.*,
        CASE
            WHEN valued.first_status <> 'variance' OR coalesce(valued.other_measure_differs, FALSE) THEN NULL
            WHEN valued.variance = items.amount THEN 'expected'
            WHEN valued.variance = -before.variance THEN 'taken_back'
        END AS timing
    FROM valued
    LEFT JOIN expected_sums AS items USING (account, wallet, asset, date)
    LEFT JOIN timing_before AS before
        ON
            valued.account = before.account
            AND valued.wallet = before.wallet
            AND valued.asset = before.asset
            AND valued.start_date = before.date
),

judged AS (
    SELECT
        *,
        CASE
            WHEN first_status = 'incomplete' AND getvariable('as_of_day') < date + getvariable('due_days')::INTEGER
                THEN 'pending'
            WHEN timing IS NOT NULL THEN 'timing'
            ELSE first_status
        END AS status
    FROM timed
),

weighed AS (
    SELECT
        *,
        CASE WHEN status = 'variance' THEN weight_of(calculated_balance, actual_balance::DECIMAL(38, 18), usd) END AS weight
    FROM judged
)

SELECT
    date,
    position_id,
    account,
    wallet,
    asset,
    CASE WHEN is_rolled OR situation = 'as_of_before_start' AND getvariable('has_streams') THEN window_start END
        AS window_start,
    CASE WHEN is_actual_known THEN window_end END AS window_end,
    CASE
        WHEN is_rolled OR situation = 'as_of_before_start' AND getvariable('has_streams') THEN start_balance
    END::DECIMAL(38, 18) AS start_balance,
    CASE WHEN is_rolled THEN transfers_in END AS transfers_in,
    CASE WHEN is_rolled THEN transfers_out END AS transfers_out,
    CASE WHEN is_rolled THEN trades_in END AS trades_in,
    CASE WHEN is_rolled THEN trades_out END AS trades_out,
    CASE WHEN is_rolled THEN fees END AS fees,
    calculated_balance,
    CASE WHEN is_actual_known THEN actual_balance END::DECIMAL(38, 18) AS actual_balance,
    variance AS variance_in_asset,
    usd_price,
    CASE
        WHEN variance IS NOT NULL AND usd_price IS NOT NULL AND usd IS NULL THEN 'overflow'
        ELSE price_status
    END AS price_status,
    CASE WHEN variance < 0 THEN -usd ELSE usd END AS variance_in_usd,
    loan_calculated,
    CASE WHEN is_actual_known THEN stated_loan END::DECIMAL(38, 18) AS loan_actual,
    interest_calculated,
    CASE WHEN is_actual_known THEN stated_interest END::DECIMAL(38, 18) AS interest_actual,
    -- shown, never compared: the entry prices behind it are rounded
    CASE WHEN is_actual_known THEN marked_pnl END::DECIMAL(38, 18) AS unrealised_pnl_calculated,
    CASE WHEN is_actual_known THEN stated_pnl END::DECIMAL(38, 18) AS unrealised_pnl_actual,
    tolerance,
    status,
    CASE WHEN status = 'variance' THEN ['low', 'medium', 'high', 'critical'][gravity_of(weight, usd_price)] END AS severity,
    CASE
        WHEN status IN ('incomplete', 'pending')
            THEN CASE
                WHEN situation <> 'tested' THEN situation
                WHEN is_spoiled THEN 'quarantined_flow'
                ELSE 'coverage_hole'
            END
        WHEN status = 'matched' AND variance <> 0 THEN 'precision'
        WHEN status = 'timing' THEN timing
        WHEN status = 'variance' AND actual_balance = 0 AND calculated_balance <> 0 THEN 'missing_at_venue'
        WHEN status = 'variance' AND calculated_balance = 0 AND actual_balance <> 0 THEN 'missing_in_books'
        WHEN status = 'variance' THEN 'mismatch'
    END AS discrepancy_type,
    CASE WHEN is_rolled THEN flow_count END AS flow_count
FROM weighed
