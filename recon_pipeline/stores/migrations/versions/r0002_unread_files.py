"""Files of a statements folder that nothing reads are recorded too, as `unread`."""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Allow the status."""
    _allow("read", "faulty", "unread", "gone")


def downgrade() -> None:
    """Forget such files: the next run of the later release finds them again."""
    op.execute("DELETE FROM recon.source_files WHERE status = 'unread'")
    _allow("read", "faulty", "gone")


def _allow(*statuses: str) -> None:
    allowed = ", ".join(f"'{status}'" for status in statuses)
    op.execute("ALTER TABLE recon.source_files DROP CONSTRAINT source_files_status_check")
    op.execute(f"ALTER TABLE recon.source_files ADD CONSTRAINT source_files_status_check CHECK (status IN ({allowed}))")
