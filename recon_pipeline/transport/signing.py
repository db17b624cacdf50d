"""Signatures, and the one text that is both signed and sent.

Values are percent-encoded first (`@` is `%40`), the text is signed, and the same bytes go on the wire: nobody encodes
them again. A list becomes a JSON array without spaces.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Protocol, TypeAlias
from urllib.parse import urlencode

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from recon_pipeline.errors import ConfigError

Value: TypeAlias = str | int | bool | Decimal | Sequence[str]
Params: TypeAlias = Mapping[str, Value | None]
"""None leaves a parameter out."""


class CredentialsUnusable(ConfigError):  # noqa: N818 - the name says what is the matter
    """What is stored cannot be a key or a secret: it could be neither sent nor signed with."""


class Signer(Protocol):
    """Signs bytes; the signature is text, not yet percent-encoded."""

    def __call__(self, payload: bytes, /) -> str:
        """The signature of these bytes."""
        ...


def wire_params(params: Params) -> dict[str, str]:
    """The parameters as text, in their order, before percent-encoding."""
    return {name: _text(value) for name, value in params.items() if value is not None}


def encoded(params: Params) -> str:
    """The percent-encoded text that is signed and sent."""
    return urlencode(wire_params(params))


def _text(value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, str | int):
        return str(value)
    return json.dumps(list(value), separators=(",", ":"))


def is_private_key(secret: str) -> bool:
    """Whether a secret is a private key as its PEM file, not the secret of an HMAC key."""
    return secret.lstrip().startswith("-----BEGIN")


def signer(secret: str) -> Signer:
    """What signs with a secret: a PEM private key (RSA, Ed25519), or any other text by HMAC-SHA256.

    CredentialsUnusable, without a word of the secret, for a PEM that cannot be used.
    """
    if is_private_key(secret):
        return _of_pem(secret)
    return lambda payload: hmac.new(secret.encode(), payload, hashlib.sha256).hexdigest()


def _of_pem(pem: str) -> Signer:
    try:
        # an environment variable is often one line, with the ends of lines written out
        key = load_pem_private_key(pem.strip().replace("\\n", "\n").encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise _unusable("the private key cannot be read") from None  # the library's own error may quote it
    if isinstance(key, rsa.RSAPrivateKey):
        of_rsa = key
        return lambda payload: _base64(of_rsa.sign(payload, padding.PKCS1v15(), hashes.SHA256()))
    if isinstance(key, ed25519.Ed25519PrivateKey):
        of_ed25519 = key
        return lambda payload: _base64(of_ed25519.sign(payload))
    raise _unusable("the private key is of a type that no venue accepts")


def _base64(signature: bytes) -> str:
    return base64.b64encode(signature).decode()


def _unusable(found: str) -> CredentialsUnusable:
    return CredentialsUnusable(
        found,
        where="the secret of an API key",
        expected="an RSA or Ed25519 private key in PEM form (PKCS#8) without a password, or the secret of an HMAC key",
        next_step="store it anew with recon secrets set",
    )
