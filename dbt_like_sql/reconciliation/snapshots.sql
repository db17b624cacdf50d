-- The one snapshot that counts of each wallet and day: the latest read, and of equal ones the greatest snapshot_id.
WITH reads AS (
    SELECT account, wallet, date, max(struct_pack(read_at := read_at, snapshot_id := snapshot_id)) AS last_read
    FROM balances
    GROUP BY account, wallet, date
),

followed AS (
    SELECT
        reads.account,
        reads.wallet,
        reads.date,
        reads.last_read.snapshot_id AS snapshot_id,
        reads.last_read.read_at AS read_at,
        coalesce(
            lag(reads.date) OVER (PARTITION BY reads.account, reads.wallet ORDER BY reads.date),
            carried_wallets.last_date
        ) AS previous_date
    FROM reads
    LEFT JOIN carried_wallets USING (account, wallet)
),

opened AS (
    SELECT
        followed.*,
        followed.previous_date IS NULL OR declared.date IS NOT NULL AS is_opening
    FROM followed
    LEFT JOIN (
        -- a declared opening takes effect at the wallet's first snapshot on or after its date
        SELECT f.account, f.wallet, f.date
        FROM followed AS f
        INNER JOIN declared_openings AS o
            ON f.account = o.account AND f.wallet = o.wallet AND f.date >= o.date AND f.previous_date < o.date
        GROUP BY f.account, f.wallet, f.date
    ) AS declared USING (account, wallet, date)
),

numbered AS (
    SELECT
        opened.*,
        (sum(opened.is_opening::INTEGER) OVER (PARTITION BY opened.account, opened.wallet ORDER BY opened.date))::INTEGER
            AS epoch,
        NOT EXISTS (
            SELECT 1
            FROM unknown_absences AS u
            WHERE
                coalesce(u.account = opened.account, TRUE)
                AND coalesce(u.wallet = opened.wallet, TRUE)
                AND coalesce(u.date = opened.date, TRUE)
        ) AS absence_counts
    FROM opened
)

SELECT
    numbered.account,
    numbered.wallet,
    numbered.date,
    numbered.snapshot_id,
    numbered.read_at,
    numbered.previous_date,
    numbered.is_opening,
    numbered.epoch,
    numbered.absence_counts,
    -- since when an asset that nobody stated is known to have been zero
    greatest(
        max(CASE WHEN numbered.absence_counts THEN numbered.read_at END) OVER (
            PARTITION BY numbered.account, numbered.wallet, numbered.epoch
            ORDER BY numbered.date ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        ),
        CASE WHEN numbered.epoch = 0 THEN carried_wallets.absent_as_of END
    ) AS absent_since
FROM numbered
LEFT JOIN carried_wallets USING (account, wallet)
