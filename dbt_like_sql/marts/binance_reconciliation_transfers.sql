-- Transfers of every venue of kind binance that count, with the columns of the Binance plan. What moves a loan or interest
-- owed is none of them: the money that was borrowed or repaid has a row of its own.
SELECT
    -- the number of its first version: a row that is told anew keeps it
    least(t.id, (
        SELECT min(before.id)
        FROM recon.transfers AS before
        WHERE
            before.venue = t.venue AND before.account = t.account AND before.source = t.source
            AND before.external_id = t.external_id AND before.retired_at IS NOT NULL
    )) AS pid,
    t.source,
    -- told in another way since, which changed nothing of this row: the version that it was made from
    coalesce(raw.fid, (
        SELECT max(before.fid) FROM recon.raw_records AS before WHERE before.venue = t.venue AND before.digest = t.raw_id
    )) AS fid,
    t.external_id,
    t.datetime,
    t.txn_type,
    t.txn_subtype,
    t.account AS email,
    t.wallet,
    t.asset,
    t.amount,
    t.counter_party,
    t.network,
    t.txn_hash,
    -- the two legs of a move between own wallets and accounts carry the venue's number of that move
    -- where it is a number; a number made of its text where it is none or too large
    CASE
        WHEN move.number ~ '^[0-9]{1,18}$' THEN move.number::bigint
        WHEN move.number ~ '^[0-9]{19}$' AND move.number <= '9223372036854775807' THEN move.number::bigint
        ELSE ('x' || left(md5(move.number), 15))::bit(60)::bigint
    END AS match_id,
    coalesce((
        SELECT r.status = 'matched'
        FROM recon.reconciliation AS r
        WHERE
            r.venue = t.venue AND r.account = t.account AND r.wallet = t.wallet AND r.asset = t.asset
            AND r.window_start < t.datetime AND r.window_end >= t.datetime
        -- the first window that ends after it, by the index: all days of a position would be read for each flow
        ORDER BY r.window_end, r.status = 'matched' DESC
        LIMIT 1
    ), FALSE) AS reconciled,
    t.recorded_at AS created_at,
    t.recorded_at AS updated_at,
    t.venue
FROM recon.transfers AS t
JOIN recon.venues AS v ON v.venue = t.venue AND v.kind = 'binance'
LEFT JOIN recon.raw_records AS raw ON raw.venue = t.venue AND raw.digest = t.raw_id AND raw.superseded_at IS NULL
CROSS JOIN LATERAL (
    SELECT
        CASE
            WHEN
                t.txn_subtype IN ('internal_in', 'internal_out', 'stp_transfer_in', 'stp_transfer_out')
                OR t.source IN ('wallet_transfers', 'sub_account_transfers')
                THEN t.txn_hash
        END COLLATE "C" AS number
) AS move
WHERE t.retired_at IS NULL AND t.measure = 'balance'
