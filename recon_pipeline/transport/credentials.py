"""The keys of accounts, and where they are looked for.

An account of recon.yaml names its credentials: `binance_main`. Their key and secret stand under `binance_main_key` and
`binance_main_secret`, each in the first of these places that has it:

    the environment   BINANCE_MAIN_KEY, BINANCE_MAIN_SECRET
    a file            that BINANCE_MAIN_KEY_FILE, BINANCE_MAIN_SECRET_FILE name
    secrets.enc       as `recon secrets set` stores them

A secret is that of an HMAC key, or the private key (RSA, Ed25519) as PEM.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from recon_pipeline.errors import ConfigError
from recon_pipeline.transport.secret import Secret
from recon_pipeline.transport.secrets_file import SecretsFile, read_text
from recon_pipeline.transport.signing import CredentialsUnusable, Signer, is_private_key, signer

_ONE_WORD = re.compile(r"[!-~]+")
"""What may stand in a header: printable ASCII without blanks and line breaks."""


class CredentialsMissing(ConfigError):  # noqa: N818 - the name says what is the matter
    """Nobody has stored the key or the secret of an account."""


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


def find_credentials(account: str, name: str, store: SecretsFile) -> Credentials:
    """The credentials of that name for an account, out of the store's environment or the store.

    CredentialsMissing, or another ConfigError, where there are none that can be used.
    """
    key, secret = (_find(f"{name}_{part}", account, store) for part in ("key", "secret"))
    found = Credentials(account, key, secret)
    found.signer  # noqa: B018 - a private key that cannot be used is refused here
    return found


def check_value(value: Secret, where: str, *, may_be_pem: bool = True) -> None:
    """CredentialsUnusable, without a word of it, for what no venue gives out: two lines of a file, a letter that a
    keyboard does not have. It would fail on the way, and look as if the venue were not there."""
    text = value.reveal()
    if (may_be_pem and is_private_key(text)) or _ONE_WORD.fullmatch(text):
        return
    lines = len(text.splitlines())
    raise CredentialsUnusable(
        f"the value has {lines} lines" if lines > 1 else "the value holds a blank, or a letter that is not ASCII",
        where=where,
        expected="one word as the venue shows it" + (", or a private key as its PEM file" if may_be_pem else ""),
        next_step="store the key and the secret apart, each as it is copied from the venue's site",
    )


def _find(name: str, account: str, store: SecretsFile) -> Secret:
    variable = name.upper()
    given, file = store.env.get(variable, "").strip(), store.env.get(f"{variable}_FILE")
    if given and file:
        raise CredentialsUnusable(
            f"{variable} and {variable}_FILE are both set", where="environment", expected="one of the two"
        )
    found, place = Secret(given), variable
    if file:
        found, place = Secret(read_text(Path(file), f"{variable}_FILE")), f"{variable}_FILE: {file}"
        if not found:
            raise CredentialsMissing(
                "the file of a secret is empty",
                where=f"account {account}, {place}",
                expected=f"{name.lower()} in it",
                next_step=f"write it there, or unset {variable}_FILE and store it: recon secrets set {name.lower()}",
            )
    elif not given and (stored := store.get(name)):
        found, place = stored, str(store.path)
    if not found:
        raise CredentialsMissing(
            f"there is no {name.lower()}",
            where=f"account {account}",
            expected=f"{variable} or {variable}_FILE in the environment, or {name.lower()} in {store.path}",
            next_step=f"store it: recon secrets set {name.lower()}",
        )
    check_value(found, f"account {account}, {name.lower()}, {place}", may_be_pem=name.endswith("_secret"))
    return found
