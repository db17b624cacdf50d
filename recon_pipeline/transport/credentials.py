"""The keys of accounts, and where they stand."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

from recon_pipeline.transport.secret import Secret
from recon_pipeline.transport.signing import Signer, signer


@dataclass(frozen=True)
class Credentials:
    """A key of an account; nothing of it shows itself."""

    account: str
    """The account as recon.yaml names it: allowances that a venue counts by account are counted by it."""
    key: Secret = field(repr=False)
    secret: Secret = field(repr=False)

    @cached_property
    def signer(self) -> Signer:
        """Signs with the secret."""
        return signer(self.secret.reveal())

    def signed(self, payload: bytes) -> str:
        """The signature of these bytes."""
        return self.signer(payload)
