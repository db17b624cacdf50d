"""Which calls read a day: a name that is configured later makes more of them, and the day has to be asked again."""

from __future__ import annotations

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column."""
    op.execute("ALTER TABLE recon.pulls ADD COLUMN calls text")
    op.execute(
        "COMMENT ON COLUMN recon.pulls.calls IS 'sha256 over the parameter sets with which the day was read last; of"
        " streams that move a balance. Where they have changed, a final day is asked again.'"
    )


def downgrade() -> None:
    """Drop it."""
    op.execute("ALTER TABLE recon.pulls DROP COLUMN calls")
