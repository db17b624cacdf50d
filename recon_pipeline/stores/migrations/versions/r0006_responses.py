"""A capture is told by several responses: its record points to each of them."""

from __future__ import annotations

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_UP = """
ALTER TABLE recon.raw_records ADD COLUMN response_ids bigint[];
COMMENT ON COLUMN recon.raw_records.response_ids IS
    'The responses that told the record, where they are several or told no rows; else it is response_id alone.';
"""


def upgrade() -> None:
    """Make the column; it is no part of what a record says, and so not of its digest."""
    op.execute(_UP)


def downgrade() -> None:
    """Forget them: response_id names the first."""
    op.execute("ALTER TABLE recon.raw_records DROP COLUMN response_ids")
