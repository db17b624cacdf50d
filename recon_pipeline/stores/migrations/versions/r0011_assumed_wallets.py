"""Which records state no wallet, and where they count usually."""

from __future__ import annotations

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table."""
    op.execute(
        "CREATE TABLE recon.assumed_wallets (venue text NOT NULL, raw_id text NOT NULL, usual_wallet text NOT NULL,"
        " fixed text[] NOT NULL, PRIMARY KEY (venue, raw_id))"
    )
    op.execute(
        "COMMENT ON TABLE recon.assumed_wallets IS 'Records that state no wallet: where the account usually has such"
        " flows, and the external ids of those of their rows whose wallet is known all the same.'"
    )
    op.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON recon.assumed_wallets TO recon_writer")


def downgrade() -> None:
    """Drop it."""
    op.execute("DROP TABLE recon.assumed_wallets")
