"""What one read told of a record in another way stands beside it: it may have moved another position."""

from __future__ import annotations

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column."""
    op.execute("ALTER TABLE recon.raw_records ADD COLUMN others jsonb")
    op.execute(
        "COMMENT ON COLUMN recon.raw_records.others IS 'Of a doubted record what else the same read told of it, as a"
        " list of contents.'"
    )


def downgrade() -> None:
    """Drop it."""
    op.execute("ALTER TABLE recon.raw_records DROP COLUMN others")
