-- What was refused, why, and where it stands.
SELECT
    venue,
    frame,
    error,
    reason,
    file,
    line,
    account,
    wallet,
    asset,
    instant,
    date,
    content
FROM recon.quarantine
