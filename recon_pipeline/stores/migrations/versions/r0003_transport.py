"""What the one HTTP client shares and keeps: the budgets of all processes, and every answer of a venue."""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_STATEMENTS = (
    # Rewritten with every request: room for the next version on the same page, and no index on what changes.
    """
    CREATE TABLE recon.budgets (
        host       text NOT NULL,
        bucket     text NOT NULL,
        subject    text NOT NULL,
        spends     jsonb NOT NULL DEFAULT '[]',
        tickets    jsonb NOT NULL DEFAULT '[]',
        held_until timestamptz,
        held_for   text,
        PRIMARY KEY (host, bucket, subject)
    ) WITH (fillfactor = 20, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000)
    """,
    "COMMENT ON TABLE recon.budgets IS 'What all processes have spent of each allowance of a venue: per host, bucket"
    " and account (or ip); bucket * holds a ban of the whole host.'",
    "COMMENT ON COLUMN recon.budgets.spends IS '[instant in microseconds, weight, 1 if spent by others]'",
    "COMMENT ON COLUMN recon.budgets.tickets IS 'Who waits: [owner, weight, 1 if live, arrived, wakes]'",
    """
    CREATE TABLE recon.raw_responses (
        id       bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
        venue    text NOT NULL,
        account  text,
        method   text NOT NULL,
        path     text NOT NULL,
        params   jsonb NOT NULL,
        asked_at timestamptz NOT NULL,
        status   integer NOT NULL,
        digest   text NOT NULL,
        bytes    bigint NOT NULL,
        took_ms  integer NOT NULL,
        run_id   text
    )
    """,
    "CREATE INDEX raw_responses_by_question ON recon.raw_responses (venue, account, path, asked_at)",
    "CREATE INDEX raw_responses_by_digest ON recon.raw_responses (digest)",
    "CREATE INDEX raw_responses_by_run ON recon.raw_responses (run_id) WHERE run_id IS NOT NULL",
    "COMMENT ON TABLE recon.raw_responses IS 'Every answer of a venue with its question, no secret in it; the bytes"
    " stand in the archive under their digest.'",
    "GRANT SELECT, INSERT, UPDATE, DELETE ON recon.budgets, recon.raw_responses TO recon_writer",
)


def upgrade() -> None:
    """Make both tables."""
    for statement in _STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    """Forget budgets and answers; the bytes stay in the archive."""
    op.execute("DROP TABLE recon.raw_responses, recon.budgets")
