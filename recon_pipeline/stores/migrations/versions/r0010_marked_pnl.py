"""What is not realised, recomputed from the stated positions and marks, stands with the balance."""

from __future__ import annotations

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column."""
    op.execute("ALTER TABLE recon.balances ADD COLUMN marked_unrealised_pnl numeric(36,18)")
    op.execute(
        "COMMENT ON COLUMN recon.balances.marked_unrealised_pnl IS 'Unrealised profit and loss, recomputed from the"
        " stated positions and marks; shown beside what is stated, never tested.'"
    )


def downgrade() -> None:
    """Drop it."""
    op.execute("ALTER TABLE recon.balances DROP COLUMN marked_unrealised_pnl")
