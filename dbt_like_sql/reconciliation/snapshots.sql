-- The one snapshot that counts of each wallet and day: the latest read, and of equal ones the greatest snapshot_id.
WITH all_reads AS (
    SELECT DISTINCT account, wallet, date, read_at, snapshot_id FROM balances
),

reads AS (
    SELECT account, wallet, date, max(struct_pack(read_at := read_at, snapshot_id := snapshot_id)) AS last_read
    FROM all_reads
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
),

-- the snapshot since which an asset that nobody stated is known to have been zero
known AS (
    SELECT
        numbered.*,
        greatest(
            max(CASE WHEN numbered.absence_counts THEN struct_pack(as_of := numbered.read_at, date := numbered.date) END)
                OVER (
                    PARTITION BY numbered.account, numbered.wallet, numbered.epoch
                    ORDER BY numbered.date ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
                ),
            CASE
                WHEN numbered.epoch = 0 AND carried_wallets.absent_as_of IS NOT NULL
                    THEN struct_pack(as_of := carried_wallets.absent_as_of, date := carried_wallets.absent_date)
            END
        ) AS absence,
        -- the opening that the snapshot's windows go back to at most
        coalesce(
            max(CASE WHEN numbered.is_opening THEN struct_pack(at := numbered.read_at, day := numbered.date) END)
                OVER (PARTITION BY numbered.account, numbered.wallet, numbered.epoch),
            CASE
                WHEN numbered.epoch = 0
                    THEN struct_pack(at := carried_wallets.opened_at, day := carried_wallets.opened_on)
            END
        ) AS opening
    FROM numbered
    LEFT JOIN carried_wallets USING (account, wallet)
)

SELECT
    account,
    wallet,
    date,
    snapshot_id,
    read_at,
    previous_date,
    is_opening,
    epoch,
    absence_counts,
    opening.day AS opened_on,
    opening.at AS opened_at,
    absence.date AS absent_on,
    absence.as_of AS absent_since
FROM known
