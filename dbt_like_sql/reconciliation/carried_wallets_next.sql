-- Where this piece leaves each wallet: its last snapshot, its opening, and since when what it does not state is known to
-- be zero.
WITH lasts AS (
    SELECT
        account,
        wallet,
        max(date) AS last_date,
        max(epoch) AS epoch,
        arg_max(opened_on, date) AS opened_on,
        arg_max(opened_at, date) AS opened_at
    FROM snapshots
    GROUP BY account, wallet
),

absences AS (
    SELECT snapshots.account, snapshots.wallet,
        max(struct_pack(as_of := snapshots.read_at, date := snapshots.date)) AS latest
    FROM snapshots
    INNER JOIN lasts USING (account, wallet, epoch)
    WHERE snapshots.absence_counts
    GROUP BY snapshots.account, snapshots.wallet
),

joined AS (
    SELECT
        account,
        wallet,
        coalesce(lasts.last_date, before.last_date) AS last_date,
        coalesce(lasts.opened_on, before.opened_on) AS opened_on,
        coalesce(lasts.opened_at, before.opened_at) AS opened_at,
        CASE
            WHEN lasts.epoch > 0 OR coalesce(absences.latest.as_of >= before.absent_as_of, before.absent_as_of IS NULL)
                THEN absences.latest
            ELSE struct_pack(as_of := before.absent_as_of, date := before.absent_date)
        END AS absence
    FROM carried_wallets AS before
    FULL JOIN lasts USING (account, wallet)
    LEFT JOIN absences USING (account, wallet)
)

SELECT account, wallet, last_date, absence.as_of AS absent_as_of, absence.date AS absent_date, opened_on, opened_at
FROM joined
