"""The index by which the data team looks for the rows of one snapshot; a balance has no other external id."""

from __future__ import annotations

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the index."""
    op.execute("CREATE INDEX balances_by_source ON recon.balances (source, snapshot_id)")


def downgrade() -> None:
    """Drop it."""
    op.execute("DROP INDEX recon.balances_by_source")
