-- What could not be read at Binance, and what a person made of it.
SELECT
    e.id,
    e.last_seen_at AS "timestamp",
    e.account AS email,
    e.kind AS error_type,
    e.symbol,
    e.found AS error_message,
    e.raw_error,
    e.needs_manual_review,
    e.resolved_at,
    e.resolution_notes,
    e.venue
FROM recon.errors AS e
JOIN recon.venues AS v ON v.venue = e.venue AND v.kind = 'binance'
WHERE e.fingerprint IS NOT NULL
