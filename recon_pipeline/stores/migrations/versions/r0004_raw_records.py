"""What venues told over HTTP, record by record; what was asked, day by day; errors that wait for a person."""

from __future__ import annotations

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_UP = """
CREATE TABLE recon.raw_records (
    fid           bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    venue         text NOT NULL,
    account       text NOT NULL,
    stream        text NOT NULL,
    record_key    text NOT NULL,
    version       integer NOT NULL,
    call          jsonb NOT NULL,
    content       jsonb NOT NULL,
    digest        text NOT NULL,
    instant       timestamptz,
    response_id   bigint,
    is_doubted    boolean NOT NULL DEFAULT false,
    read_at       timestamptz NOT NULL,
    superseded_at timestamptz,
    UNIQUE (venue, account, stream, record_key, version)
);
CREATE UNIQUE INDEX raw_records_current ON recon.raw_records (venue, account, stream, record_key)
    WHERE superseded_at IS NULL;
CREATE INDEX raw_records_by_instant ON recon.raw_records (venue, stream, instant);
COMMENT ON TABLE recon.raw_records IS
    'Records as venues told them over HTTP, as versions; superseded_at IS NULL counts. fid stays as it is.';
COMMENT ON COLUMN recon.raw_records.is_doubted IS
    'One read told it twice with different content: neither is believed until a later read tells it once.';

CREATE TABLE recon.pulls (
    venue   text NOT NULL,
    account text NOT NULL,
    stream  text NOT NULL,
    date    date NOT NULL,
    status  text NOT NULL CHECK (status IN ('complete', 'final', 'partial', 'failed', 'not_applicable')),
    pages   bigint NOT NULL DEFAULT 0,
    records bigint NOT NULL DEFAULT 0,
    error   text,
    message text,
    read_at timestamptz NOT NULL,
    PRIMARY KEY (venue, account, stream, date)
);
COMMENT ON TABLE recon.pulls IS
    'The coverage ledger: how each UTC day of each stream was last read. Final days are never asked again.';

CREATE TABLE recon.asked_symbols (
    venue         text NOT NULL,
    account       text NOT NULL,
    stream        text NOT NULL,
    symbol        text NOT NULL,
    asked_from    timestamptz NOT NULL,
    asked_through timestamptz NOT NULL,
    last_id       numeric,
    trades        bigint NOT NULL DEFAULT 0,
    last_trade_at timestamptz,
    first_seen    timestamptz NOT NULL DEFAULT now(),
    last_checked  timestamptz NOT NULL DEFAULT now(),
    purged_after  timestamptz,
    PRIMARY KEY (venue, account, stream, symbol)
);
COMMENT ON TABLE recon.asked_symbols IS
    'Over which time each symbol was asked for trades of an account, whether it had any or not.';

CREATE TABLE recon.wallet_decisions (
    id           bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    venue        text NOT NULL,
    record_digest text NOT NULL,
    version      integer NOT NULL,
    wallet       text,
    evidence     jsonb NOT NULL,
    decided_at   timestamptz NOT NULL DEFAULT now(),
    UNIQUE (venue, record_digest, version)
);
COMMENT ON TABLE recon.wallet_decisions IS
    'In which wallet a flow counts whose record states none; the last version counts, null withdraws it.';

ALTER TABLE recon.errors
    ADD COLUMN account text,
    ADD COLUMN stream text,
    ADD COLUMN kind text,
    ADD COLUMN symbol text,
    ADD COLUMN raw_error jsonb,
    ADD COLUMN needs_manual_review boolean NOT NULL DEFAULT false,
    ADD COLUMN seen bigint NOT NULL DEFAULT 1,
    ADD COLUMN last_seen_at timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN fingerprint text,
    ADD COLUMN resolved_at timestamptz,
    ADD COLUMN resolution_notes text;
CREATE UNIQUE INDEX errors_open ON recon.errors (venue, fingerprint) WHERE resolved_at IS NULL;
COMMENT ON TABLE recon.errors IS
    'Named errors of runs; those with needs_manual_review wait for a person: recon errors list, recon errors resolve.';

GRANT SELECT, INSERT, UPDATE, DELETE ON recon.raw_records, recon.pulls, recon.asked_symbols, recon.wallet_decisions
    TO recon_writer;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA recon TO recon_writer;
"""

_DOWN = """
DROP INDEX recon.errors_open;
ALTER TABLE recon.errors DROP COLUMN account, DROP COLUMN stream, DROP COLUMN kind, DROP COLUMN symbol,
    DROP COLUMN raw_error, DROP COLUMN needs_manual_review, DROP COLUMN seen, DROP COLUMN last_seen_at,
    DROP COLUMN fingerprint, DROP COLUMN resolved_at, DROP COLUMN resolution_notes;
DROP TABLE recon.raw_records, recon.pulls, recon.asked_symbols, recon.wallet_decisions;
"""


def upgrade() -> None:
    """Make the tables."""
    op.execute(_UP)


def downgrade() -> None:
    """Forget what was read over HTTP: the archive of answers keeps it."""
    op.execute(_DOWN)
