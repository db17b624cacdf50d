-- Runs as recon_owner. Amounts are NUMERIC(36,18), sums (38,18), USD (38,8), exactly as in the lake.
-- Frames are kept as versions: a row whose content changes is retired and a new version is recorded; a row that stays
-- the same is never touched, so its id may be relied on. retired_at IS NULL means that the row counts.

CREATE SCHEMA IF NOT EXISTS audit;
CREATE SCHEMA IF NOT EXISTS marts;
CREATE SCHEMA IF NOT EXISTS dagster;

-- Sequences instead of identity columns: PostgreSQL before 17 has no identity on partitioned tables.
CREATE SEQUENCE recon.transfers_id_seq;
CREATE TABLE recon.transfers (
    id            bigint NOT NULL DEFAULT nextval('recon.transfers_id_seq'),
    venue         text NOT NULL,
    account       text NOT NULL,
    wallet        text NOT NULL,
    source        text NOT NULL,
    external_id   text NOT NULL,
    datetime      timestamptz NOT NULL,
    txn_type      text NOT NULL,
    txn_subtype   text NOT NULL,
    measure       text NOT NULL,
    asset         text NOT NULL,
    amount        numeric(36,18) NOT NULL,
    counter_party text,
    network       text,
    txn_hash      text,
    raw_id        text,
    match_id      text,
    version       integer NOT NULL DEFAULT 1,
    recorded_at   timestamptz NOT NULL DEFAULT now(),
    retired_at    timestamptz,
    PRIMARY KEY (id, datetime)
) PARTITION BY RANGE (datetime);
CREATE INDEX transfers_by_day ON recon.transfers (venue, datetime);
CREATE INDEX transfers_retired ON recon.transfers (venue, account, source, external_id) WHERE retired_at IS NOT NULL;
COMMENT ON TABLE recon.transfers IS 'Signed changes of positions other than trades, as versions; retired_at IS NULL counts.';

CREATE SEQUENCE recon.trades_id_seq;
CREATE TABLE recon.trades (
    id            bigint NOT NULL DEFAULT nextval('recon.trades_id_seq'),
    venue         text NOT NULL,
    account       text NOT NULL,
    wallet        text NOT NULL,
    source        text NOT NULL,
    external_id   text NOT NULL,
    datetime      timestamptz NOT NULL,
    txn_type      text NOT NULL,
    txn_subtype   text NOT NULL,
    measure       text NOT NULL,
    symbol        text,
    asset         text NOT NULL,
    amount        numeric(36,18) NOT NULL,
    price         numeric(36,18),
    agg_id        text,
    raw_id        text,
    match_id      text,
    version       integer NOT NULL DEFAULT 1,
    recorded_at   timestamptz NOT NULL DEFAULT now(),
    retired_at    timestamptz,
    PRIMARY KEY (id, datetime)
) PARTITION BY RANGE (datetime);
CREATE INDEX trades_by_day ON recon.trades (venue, datetime);
CREATE INDEX trades_retired ON recon.trades (venue, account, source, external_id) WHERE retired_at IS NOT NULL;
COMMENT ON TABLE recon.trades IS 'The legs of fills and conversions, as versions; retired_at IS NULL counts.';

CREATE SEQUENCE recon.balances_id_seq;
CREATE TABLE recon.balances (
    id                 bigint NOT NULL DEFAULT nextval('recon.balances_id_seq'),
    venue              text NOT NULL,
    account            text NOT NULL,
    wallet             text NOT NULL,
    asset              text NOT NULL,
    as_of              timestamptz NOT NULL,
    date               date NOT NULL,
    snapshot_id        text NOT NULL,
    read_at            timestamptz NOT NULL,
    raw_balance        numeric(36,18) NOT NULL,
    raw_loan           numeric(36,18),
    raw_interest       numeric(36,18),
    raw_unrealised_pnl numeric(36,18),
    source             text NOT NULL,
    raw_id             text,
    version            integer NOT NULL DEFAULT 1,
    recorded_at        timestamptz NOT NULL DEFAULT now(),
    retired_at         timestamptz,
    PRIMARY KEY (id, date)
) PARTITION BY RANGE (date);
CREATE INDEX balances_by_day ON recon.balances (venue, date);
CREATE INDEX balances_retired ON recon.balances (venue, account, wallet, asset, as_of) WHERE retired_at IS NOT NULL;
COMMENT ON TABLE recon.balances IS 'What venues stated to be held, as versions; retired_at IS NULL counts.';

CREATE SEQUENCE recon.prices_id_seq;
CREATE TABLE recon.prices (
    id          bigint NOT NULL DEFAULT nextval('recon.prices_id_seq'),
    venue       text NOT NULL,
    asset       text NOT NULL,
    as_of       timestamptz NOT NULL,
    usd_price   numeric(36,18) NOT NULL,
    source      text NOT NULL,
    version     integer NOT NULL DEFAULT 1,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    retired_at  timestamptz,
    PRIMARY KEY (id, as_of)
) PARTITION BY RANGE (as_of);
CREATE INDEX prices_by_day ON recon.prices (venue, as_of);
CREATE INDEX prices_retired ON recon.prices (venue, asset, as_of, source) WHERE retired_at IS NOT NULL;
COMMENT ON TABLE recon.prices IS 'USD prices, as versions; retired_at IS NULL counts.';

CREATE SEQUENCE recon.coverage_id_seq;
CREATE TABLE recon.coverage (
    id           bigint PRIMARY KEY DEFAULT nextval('recon.coverage_id_seq'),
    venue        text NOT NULL,
    account      text NOT NULL,
    stream       text NOT NULL,
    asset        text,
    window_start timestamptz NOT NULL,
    window_end   timestamptz NOT NULL,
    status       text NOT NULL,
    file         text,
    pages        bigint,
    rows         bigint,
    error        text,
    version      integer NOT NULL DEFAULT 1,
    recorded_at  timestamptz NOT NULL DEFAULT now(),
    retired_at   timestamptz
);
CREATE INDEX coverage_by_day ON recon.coverage (venue, window_start);
CREATE INDEX coverage_retired ON recon.coverage (venue, account, stream, window_start) WHERE retired_at IS NOT NULL;
COMMENT ON TABLE recon.coverage IS 'Which feeds were read without a hole over (window_start, window_end]; retired_at IS NULL counts.';

CREATE TABLE recon.expected (
    venue       text NOT NULL,
    account     text NOT NULL,
    wallet      text NOT NULL,
    asset       text NOT NULL,
    amount      numeric(36,18) NOT NULL,
    expected_by date NOT NULL,
    reason      text NOT NULL
);
CREATE INDEX expected_by_day ON recon.expected (venue, expected_by);
COMMENT ON TABLE recon.expected IS 'Residuals that are expected to pass by a deadline.';

CREATE TABLE recon.reconciliation (
    date                      date NOT NULL,
    venue                     text NOT NULL,
    account                   text NOT NULL,
    wallet                    text NOT NULL,
    asset                     text NOT NULL,
    window_start              timestamptz,
    window_end                timestamptz,
    start_balance             numeric(38,18),
    transfers_in              numeric(38,18),
    transfers_out             numeric(38,18),
    trades_in                 numeric(38,18),
    trades_out                numeric(38,18),
    fees                      numeric(38,18),
    calculated_balance        numeric(38,18),
    actual_balance            numeric(38,18),
    variance_in_asset         numeric(38,18),
    usd_price                 numeric(36,18),
    price_status              text NOT NULL CHECK (price_status IN ('ok', 'missing', 'stale', 'overflow')),
    variance_in_usd           numeric(38,8),
    loan_calculated           numeric(38,18),
    loan_actual               numeric(38,18),
    interest_calculated       numeric(38,18),
    interest_actual           numeric(38,18),
    unrealised_pnl_calculated numeric(38,18),
    unrealised_pnl_actual     numeric(38,18),
    tolerance                 numeric(36,18) NOT NULL,
    status                    text NOT NULL CHECK (status IN
        ('pending', 'incomplete', 'opening', 'informational', 'matched', 'timing', 'variance')),
    severity                  text CHECK (severity IN ('low', 'medium', 'high', 'critical')),
    discrepancy_type          text,
    flow_count                bigint,
    inputs_digest             text NOT NULL,
    PRIMARY KEY (venue, date, account, wallet, asset)
) PARTITION BY RANGE (date);
COMMENT ON TABLE recon.reconciliation IS 'One row for each position and day: start + flows against the snapshot.';

CREATE SEQUENCE recon.reconciliation_history_id_seq;
CREATE TABLE recon.reconciliation_history (
    id          bigint NOT NULL DEFAULT nextval('recon.reconciliation_history_id_seq'),
    LIKE recon.reconciliation,
    recorded_at timestamptz,
    replaced_at timestamptz NOT NULL DEFAULT now(),
    replaced_by text NOT NULL,
    PRIMARY KEY (id, date)
) PARTITION BY RANGE (date);
CREATE INDEX reconciliation_history_by_day ON recon.reconciliation_history (venue, date);
COMMENT ON TABLE recon.reconciliation_history IS 'Earlier versions of reconciliation rows that changed in anything but inputs_digest; replaced_by names the run.';

CREATE TABLE recon.restatements (
    id          bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    venue       text NOT NULL,
    date        date NOT NULL,
    account     text NOT NULL,
    wallet      text NOT NULL,
    asset       text NOT NULL,
    column_name text NOT NULL,
    old_value   numeric,
    new_value   numeric,
    old_status  text,
    new_status  text,
    run_id      text NOT NULL,
    restated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX restatements_by_day ON recon.restatements (venue, date);
COMMENT ON TABLE recon.restatements IS 'One row for each number that moved in a published reconciliation row; null where the row, or the number, was not there.';

CREATE TABLE recon.quarantine (
    id          bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    venue       text NOT NULL,
    frame       text NOT NULL,
    error       text NOT NULL,
    reason      text NOT NULL,
    file        text,
    line        bigint,
    account     text,
    wallet      text,
    asset       text,
    instant     timestamptz,
    date        date,
    content     text NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX quarantine_by_venue ON recon.quarantine (venue, frame);
COMMENT ON TABLE recon.quarantine IS 'Rows and files that were refused, with the reason; replaced whole for a venue.';

CREATE TABLE recon.source_files (
    venue            text NOT NULL,
    path             text NOT NULL,
    digest           text,
    bytes            bigint,
    rows             bigint,
    first_instant    timestamptz,
    last_instant     timestamptz,
    status           text NOT NULL CHECK (status IN ('read', 'faulty', 'gone')),
    error            text,
    message          text,
    frames           text[] NOT NULL DEFAULT '{}',
    read_at          timestamptz NOT NULL DEFAULT now(),
    last_good_digest text,
    PRIMARY KEY (venue, path)
);
COMMENT ON TABLE recon.source_files IS 'The files of statements: what was read of each, or why it could not be.';

CREATE TABLE recon.runs (
    run_id      text NOT NULL,
    venue       text NOT NULL,
    first_day   date NOT NULL,
    last_day    date NOT NULL,
    as_of_day   date NOT NULL,
    accounts    text[],
    started_at  timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz,
    outcome     text,
    counts      jsonb,
    message     text,
    PRIMARY KEY (run_id, venue)
);
CREATE INDEX runs_by_time ON recon.runs (venue, started_at);
COMMENT ON TABLE recon.runs IS 'Which run covered which days of a venue, and how it ended; without finished_at it is under way or was killed.';

CREATE TABLE recon.errors (
    id          bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    run_id      text,
    venue       text,
    day         date,
    name        text NOT NULL,
    found       text NOT NULL,
    place       text,
    expected    text,
    next_step   text,
    occurred_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX errors_by_time ON recon.errors (venue, occurred_at);
COMMENT ON TABLE recon.errors IS 'Named errors of runs.';

CREATE TABLE recon.breaks (
    id          bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    venue       text NOT NULL,
    account     text NOT NULL,
    wallet      text,
    asset       text,
    date        date NOT NULL,
    kind        text NOT NULL,
    status      text NOT NULL,
    severity    text,
    amount      numeric(38,18),
    amount_usd  numeric(38,8),
    opened_at   timestamptz NOT NULL DEFAULT now(),
    closed_at   timestamptz
);
CREATE INDEX breaks_by_position ON recon.breaks (venue, account, wallet, asset, date);
COMMENT ON TABLE recon.breaks IS 'Reconciliation exceptions that a person may have to act on.';

CREATE TABLE recon.break_events (
    id          bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    break_id    bigint NOT NULL REFERENCES recon.breaks,
    action      text NOT NULL,
    actor       text NOT NULL,
    note        text,
    happened_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX break_events_by_break ON recon.break_events (break_id);
COMMENT ON TABLE recon.break_events IS 'What happened to a break, in order; never changed.';

CREATE TABLE recon.partitions (
    venue     text NOT NULL,
    frame     text NOT NULL,
    date      date NOT NULL,
    digest    text NOT NULL,
    rows      bigint NOT NULL,
    run_id    text NOT NULL,
    loaded_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (venue, frame, date)
);
COMMENT ON TABLE recon.partitions IS 'Which partition of the lake, by its digest, each day of a frame was loaded from; the quarantine stands at 0001-01-01.';

-- The settings that the marts need, replaced at each run.
CREATE TABLE recon.venues (
    venue    text PRIMARY KEY,
    kind     text NOT NULL,
    calendar text NOT NULL,
    start    date NOT NULL,
    due_days integer NOT NULL,
    streams  text[] NOT NULL DEFAULT '{}'
);
COMMENT ON TABLE recon.venues IS 'The venues of recon.yaml, and the streams that their last reading found.';

CREATE TABLE recon.tolerances (
    venue     text NOT NULL REFERENCES recon.venues ON DELETE CASCADE,
    account   text,
    asset     text,
    kind      text NOT NULL CHECK (kind IN ('default', 'cumulative', 'books')),
    rank      integer NOT NULL,
    tolerance numeric NOT NULL,
    UNIQUE NULLS NOT DISTINCT (venue, kind, rank, account, asset)
);
COMMENT ON TABLE recon.tolerances IS 'Tolerances by venue; null matches every one, and of those that match the lowest rank counts.';

CREATE TABLE recon.openings (
    venue   text NOT NULL REFERENCES recon.venues ON DELETE CASCADE,
    account text NOT NULL,
    wallet  text NOT NULL,
    date    date NOT NULL,
    note    text NOT NULL,
    PRIMARY KEY (venue, account, wallet, date)
);
COMMENT ON TABLE recon.openings IS 'Declared new beginnings of wallets.';

-- Months of the partitioned tables are made as they are needed, also by a writer, who may make nothing else. The month
-- is attached, since CREATE TABLE ... PARTITION OF would shut out readers.
CREATE FUNCTION recon.ensure_month(parent text, day date) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    first date := date_trunc('month', day::timestamp)::date;
    child text := parent || to_char(first, '"_y"YYYY"m"MM');
BEGIN
    IF NOT EXISTS (
        SELECT FROM pg_partitioned_table JOIN pg_class ON pg_class.oid = partrelid
        WHERE relnamespace = 'recon'::regnamespace AND relname = parent
    ) THEN
        RAISE EXCEPTION 'recon.% is not partitioned by month', parent USING ERRCODE = 'wrong_object_type';
    END IF;
    IF to_regclass(format('recon.%I', child)) IS NOT NULL THEN
        RETURN false;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext('recon.ensure_month'), hashtext(child));
    IF to_regclass(format('recon.%I', child)) IS NOT NULL THEN
        RETURN false;
    END IF;
    EXECUTE format('CREATE TABLE recon.%I (LIKE recon.%I INCLUDING ALL)', child, parent);
    EXECUTE format(
        'ALTER TABLE recon.%I ATTACH PARTITION recon.%I FOR VALUES FROM (%L) TO (%L)',
        parent, child, first || ' 00:00:00+00', (first + interval '1 month')::date || ' 00:00:00+00'
    );
    RETURN true;
END
$function$;
COMMENT ON FUNCTION recon.ensure_month IS 'Makes the month of a partitioned table that holds the day; true if it was missing.';

-- The writer fills the tables, the reader reads the marts and nothing else, whoever makes them later.
REVOKE ALL ON FUNCTION recon.ensure_month FROM PUBLIC;
GRANT EXECUTE ON FUNCTION recon.ensure_month TO recon_writer;
GRANT USAGE ON SCHEMA recon, audit TO recon_writer;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA recon TO recon_writer;
REVOKE INSERT, UPDATE, DELETE ON recon.alembic_version FROM recon_writer;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA recon TO recon_writer;
GRANT USAGE, CREATE ON SCHEMA dagster TO recon_writer;
GRANT USAGE ON SCHEMA marts TO recon_reader, recon_writer;
ALTER DEFAULT PRIVILEGES IN SCHEMA marts GRANT SELECT ON TABLES TO recon_reader, recon_writer;
