"""The roles of the database, in one place: the migrations make them, the embedded server lets them log in."""

from __future__ import annotations

OWNER = "recon_owner"
WRITER = "recon_writer"
READER = "recon_reader"
ROLES = (OWNER, WRITER, READER)
