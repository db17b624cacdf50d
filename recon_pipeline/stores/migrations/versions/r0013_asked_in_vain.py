"""A day that stands as it was read remembers that it was asked for again in vain."""

from __future__ import annotations

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns."""
    op.execute("ALTER TABLE recon.pulls ADD COLUMN asked_in_vain text, ADD COLUMN asked_in_vain_at timestamptz")
    op.execute(
        "COMMENT ON COLUMN recon.pulls.asked_in_vain IS 'Of a complete day the name of the error with which the last"
        " attempt to read it again failed.'"
    )
    op.execute("COMMENT ON COLUMN recon.pulls.asked_in_vain_at IS 'When that attempt was made.'")


def downgrade() -> None:
    """Drop them."""
    op.execute("ALTER TABLE recon.pulls DROP COLUMN asked_in_vain, DROP COLUMN asked_in_vain_at")
