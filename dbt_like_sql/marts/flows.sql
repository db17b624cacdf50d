-- Every flow that counts, transfers and trades together, for the search behind a variance.
SELECT
    datetime,
    venue,
    account,
    wallet,
    asset,
    amount,
    measure,
    txn_type,
    txn_subtype,
    source,
    external_id,
    counter_party,
    network,
    txn_hash,
    NULL AS symbol,
    NULL::numeric(36, 18) AS price,
    NULL AS agg_id
FROM recon.transfers
WHERE retired_at IS NULL
UNION ALL
SELECT
    datetime, venue, account, wallet, asset, amount, measure, txn_type, txn_subtype, source, external_id,
    NULL, NULL, NULL, symbol, price, agg_id
FROM recon.trades
WHERE retired_at IS NULL
