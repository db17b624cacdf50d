"""The spine: frames, reconciliation, runs, files, settings; the statements are in the file of SQL beside this one."""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make everything, as recon_owner."""
    statements = Path(__file__).with_suffix(".sql").read_text()
    # Without this option the driver would take every % for a parameter.
    op.get_bind().exec_driver_sql(statements, execution_options={"no_parameters": True})


def downgrade() -> None:
    """There is no way back from the first state: drop the schemas, and the next run fills them from the lake."""
    raise NotImplementedError
