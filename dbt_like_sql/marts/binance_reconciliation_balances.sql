-- What Binance stated to be held, beside what was calculated, with the columns of the Binance plan. What the statement of a
-- wallet leaves out is zero: a position that was reconciled against such a nothing has its row too.
WITH reads AS NOT MATERIALIZED (
    -- of several statements of one wallet and day the one read last counts, as it does for the reconciliation
    SELECT DISTINCT ON (b.venue, b.account, b.wallet, b.date)
        b.venue, b.account, b.wallet, b.date, b.read_at, b.snapshot_id
    FROM recon.balances AS b
    JOIN recon.venues AS v ON v.venue = b.venue AND v.kind = 'binance'
    WHERE b.retired_at IS NULL
    ORDER BY b.venue, b.account, b.wallet, b.date, b.read_at DESC, b.snapshot_id DESC
),

listed AS NOT MATERIALIZED (
    SELECT
        -- the number of its first version: a row that is told anew keeps it
        least(b.id, (
            SELECT min(before.id)
            FROM recon.balances AS before
            WHERE
                before.venue = b.venue AND before.account = b.account AND before.wallet = b.wallet
                AND before.asset = b.asset AND before.as_of = b.as_of AND before.snapshot_id = b.snapshot_id
                AND before.retired_at IS NOT NULL
        )) AS id,
        b.source,
        b.raw_id,
        b.snapshot_id,
        b.date,
        b.venue,
        b.account,
        b.wallet,
        b.asset,
        b.raw_balance,
        b.raw_loan,
        b.raw_interest,
        b.raw_unrealised_pnl,
        b.recorded_at
    FROM recon.balances AS b
    JOIN reads
        ON
            reads.venue = b.venue AND reads.account = b.account AND reads.wallet = b.wallet AND reads.date = b.date
            AND reads.read_at = b.read_at AND reads.snapshot_id = b.snapshot_id
    WHERE b.retired_at IS NULL
),

left_out AS (
    SELECT
        -- below zero, where no number of recon.balances is; made of the position and day, which stay
        -1 - ('x' || left(
            md5(concat_ws(E'\n', r.venue, to_char(r.date, 'YYYY-MM-DD'), r.account, r.wallet, r.asset)), 15
        ))::bit(60)::bigint AS id,
        statement.source,
        statement.raw_id,
        statement.snapshot_id,
        r.date,
        r.venue,
        r.account,
        r.wallet,
        r.asset,
        0::numeric(36, 18) AS raw_balance,
        0::numeric(36, 18) AS raw_loan,
        0::numeric(36, 18) AS raw_interest,
        0::numeric(36, 18) AS raw_unrealised_pnl,
        statement.recorded_at
    FROM recon.reconciliation AS r
    JOIN recon.venues AS v ON v.venue = r.venue AND v.kind = 'binance'
    CROSS JOIN LATERAL (
        SELECT b.source, b.raw_id, b.snapshot_id, b.recorded_at
        FROM recon.balances AS b
        WHERE
            b.venue = r.venue AND b.account = r.account AND b.wallet = r.wallet AND b.date = r.date
            AND b.retired_at IS NULL
        ORDER BY b.read_at DESC, b.snapshot_id DESC, b.asset
        LIMIT 1
    ) AS statement
    -- known to be nothing: where a statement is missing, or could not be believed, actual_balance is null
    WHERE
        r.actual_balance = 0
        AND NOT EXISTS (
            SELECT 1
            FROM listed AS l
            WHERE
                l.venue = r.venue AND l.account = r.account AND l.wallet = r.wallet AND l.asset = r.asset AND l.date = r.date
        )
),

held AS (
    SELECT
        id, source, raw_id, snapshot_id, date, venue, account, wallet, asset, raw_balance, raw_loan, raw_interest,
        raw_unrealised_pnl, recorded_at
    FROM listed
    UNION ALL
    SELECT
        id, source, raw_id, snapshot_id, date, venue, account, wallet, asset, raw_balance, raw_loan, raw_interest,
        raw_unrealised_pnl, recorded_at
    FROM left_out
)

SELECT
    h.id AS pid,
    h.source,
    -- told in another way since, which changed nothing of this row: the version that it was made from
    coalesce(raw.fid, (
        SELECT max(before.fid) FROM recon.raw_records AS before WHERE before.venue = h.venue AND before.digest = h.raw_id
    )) AS fid,
    h.snapshot_id AS external_id,
    h.date,
    h.account AS email,
    h.wallet,
    h.asset,
    h.raw_balance,
    coalesce(h.raw_loan, 0)::numeric(36, 18) AS raw_loan,
    coalesce(h.raw_interest, 0)::numeric(36, 18) AS raw_interest,
    coalesce(h.raw_unrealised_pnl, 0)::numeric(36, 18) AS raw_unrealised_pnl,
    r.calculated_balance AS cal_balance,
    r.loan_calculated AS cal_loan,
    r.interest_calculated AS cal_interest,
    r.unrealised_pnl_calculated AS cal_unrealised_pnl,
    -- an amount of a window of which something is missing is no variance, and a zero would look like a match
    CASE WHEN r.status NOT IN ('incomplete', 'pending') THEN r.variance_in_asset END::numeric(38, 18) AS variance_in_asset,
    CASE WHEN r.status NOT IN ('incomplete', 'pending') THEN r.variance_in_usd END::numeric(38, 8) AS variance_in_usd,
    r.usd_price,
    h.recorded_at AS created_at,
    h.recorded_at AS updated_at,
    h.venue
FROM held AS h
LEFT JOIN recon.raw_records AS raw ON raw.venue = h.venue AND raw.digest = h.raw_id AND raw.superseded_at IS NULL
LEFT JOIN recon.reconciliation AS r
    ON r.venue = h.venue AND r.account = h.account AND r.wallet = h.wallet AND r.asset = h.asset AND r.date = h.date
