-- The files on which the figures rest.
SELECT
    venue,
    path,
    status,
    error,
    message,
    frames,
    rows,
    bytes,
    first_instant,
    last_instant,
    digest,
    last_good_digest,
    read_at
FROM recon.source_files
