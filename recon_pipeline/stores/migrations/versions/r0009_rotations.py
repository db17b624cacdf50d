"""On which day an account's markets had their turn last; and the index by which a flow finds its window."""

from __future__ import annotations

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table and the index."""
    op.execute(
        "CREATE TABLE recon.rotations (venue text NOT NULL, account text NOT NULL, rotated_on date NOT NULL,"
        " PRIMARY KEY (venue, account))"
    )
    op.execute(
        "COMMENT ON TABLE recon.rotations IS 'The UTC day of the last run that asked a week''s part of all markets for"
        " trades of an account.'"
    )
    op.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON recon.rotations TO recon_writer")
    op.execute(
        "CREATE INDEX reconciliation_by_window ON recon.reconciliation (venue, account, wallet, asset, window_end)"
    )


def downgrade() -> None:
    """Drop them."""
    op.execute("DROP INDEX recon.reconciliation_by_window")
    op.execute("DROP TABLE recon.rotations")
