-- Flows that count in a wallet which their record does not state: where the account usually has such flows, or, where two
-- wallets prove it, in another.
WITH flows AS NOT MATERIALIZED (
    SELECT venue, account, wallet, asset, amount, datetime, txn_subtype, source, external_id, raw_id
    FROM recon.transfers
    WHERE retired_at IS NULL
    UNION ALL
    SELECT venue, account, wallet, asset, amount, datetime, txn_subtype, source, external_id, raw_id
    FROM recon.trades
    WHERE retired_at IS NULL
)

SELECT
    f.datetime,
    f.venue,
    f.account,
    f.wallet,
    a.usual_wallet,
    f.wallet <> a.usual_wallet AS is_decided,
    f.asset,
    f.amount,
    f.txn_subtype,
    f.source,
    f.external_id,
    decision.decided_at,
    decision.evidence
FROM recon.assumed_wallets AS a
JOIN flows AS f ON f.venue = a.venue AND f.raw_id = a.raw_id AND f.external_id <> ALL (a.fixed)
LEFT JOIN LATERAL (
    -- the last version: of one that was taken back it says why
    SELECT d.wallet, d.decided_at, d.evidence
    FROM recon.wallet_decisions AS d
    WHERE d.venue = a.venue AND d.record_digest = a.raw_id
    ORDER BY d.version DESC
    LIMIT 1
) AS decision ON TRUE
WHERE f.wallet = coalesce(decision.wallet, a.usual_wallet)
