"""Indexes by which the data team looks for rows of an account, and by which raw records are found."""

from __future__ import annotations

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the indexes; asked_symbols gets a number of its own."""
    for frame, instant in (("transfers", "datetime"), ("trades", "datetime"), ("balances", "date")):
        op.execute(f"CREATE INDEX {frame}_by_account ON recon.{frame} (account, {instant}, asset)")
        if frame != "balances":
            op.execute(f"CREATE INDEX {frame}_by_source ON recon.{frame} (source, external_id)")
    op.execute("CREATE INDEX raw_records_by_digest ON recon.raw_records (venue, digest)")
    op.execute("ALTER TABLE recon.asked_symbols ADD COLUMN id bigint GENERATED ALWAYS AS IDENTITY")


def downgrade() -> None:
    """Drop them."""
    op.execute("ALTER TABLE recon.asked_symbols DROP COLUMN id")
    op.execute("DROP INDEX recon.raw_records_by_digest")
    for frame in ("transfers", "trades", "balances"):
        op.execute(f"DROP INDEX recon.{frame}_by_account")
        if frame != "balances":
            op.execute(f"DROP INDEX recon.{frame}_by_source")
