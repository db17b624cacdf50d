"""Which rows count in a wallet that their record does not state."""

from __future__ import annotations

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table."""
    op.execute(
        "CREATE TABLE recon.assumed_wallets (venue text NOT NULL, raw_id text NOT NULL, external_id text NOT NULL,"
        " usual_wallet text NOT NULL, PRIMARY KEY (venue, raw_id, external_id))"
    )
    op.execute(
        "COMMENT ON TABLE recon.assumed_wallets IS 'The rows of transfers and trades whose record states no wallet, and"
        " where the account usually has such flows: marts.assumed_wallets shows them.'"
    )
    op.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON recon.assumed_wallets TO recon_writer")


def downgrade() -> None:
    """Drop it."""
    op.execute("DROP TABLE recon.assumed_wallets")
