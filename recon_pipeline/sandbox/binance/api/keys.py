"""Who is let in: the key, the address it is used from, the time of the request, and the signature over its bytes."""

from __future__ import annotations

import hashlib
import hmac
import re
from urllib.parse import parse_qsl

from recon_pipeline.sandbox.binance.accounts import Account, Key
from recon_pipeline.sandbox.binance.api import refusals
from recon_pipeline.sandbox.binance.world import World

_ENCODED = re.compile(rb"[A-Za-z0-9_.~%&=+-]*")
_FORMAT = re.compile(r"[A-Za-z0-9]{64}")
_AHEAD_US = 1_000_000
_LONGEST_WINDOW_MS = 60_000


def read_params(query: bytes, body: bytes) -> dict[str, str]:
    """The parameters of the query and the body; one that is sent twice is refused."""
    params: dict[str, str] = {}
    for part in (query, body):
        for name, value in parse_qsl(part.decode("utf-8", "replace"), keep_blank_values=True):
            if name in params:
                raise refusals.Refusal(-1101, "Duplicate values for a parameter detected.")
            params[name] = value
    return params


class Doorman:
    """Knows the keys of a world, and which were revoked since."""

    def __init__(self, world: World) -> None:
        self._accounts = world.accounts
        self._keys = {key.key: key for account in world.accounts.values() for key in account.keys.values()}
        self.revoked_us: dict[str, int] = {}
        """Keys that are good until an instant."""

    def admit(self, key_header: str | None, ip: str, now_us: int) -> Account:
        """The account that the key opens; refused if it opens none from here."""
        if key_header is None or not _FORMAT.fullmatch(key_header):
            raise refusals.Refusal(-2014, "API-key format invalid.", 401)
        key = self._keys.get(key_header)
        if key is None:
            raise refusals.Refusal(-2008, "Invalid Api-Key ID.", 401)
        is_revoked = key.kind == "revoked" or self.revoked_us.get(key.key, now_us + 1) <= now_us
        if is_revoked or key.kind == "no_reading" or (key.addresses and ip not in key.addresses):
            raise refusals.rejected_key()
        return self._accounts[key.email]

    def owner(self, key_header: str | None) -> str | None:
        """Whose key it is, whether or not it is good."""
        key = self._keys.get(key_header or "")
        return key.email if key else None

    def key(self, key_header: str) -> Key:
        """A key by its public part."""
        return self._keys[key_header]

    def check(self, key_header: str, params: dict[str, str], query: bytes, body: bytes, now_us: int) -> None:
        """The time and the signature of a request."""
        _check_time(params, now_us)
        payload, given = _payload(query, body)
        right = hmac.new(self._keys[key_header].secret.encode(), payload, hashlib.sha256).hexdigest()
        if not _ENCODED.fullmatch(payload) or not hmac.compare_digest(right, given.lower()):
            raise refusals.Refusal(-1022, "Signature for this request is not valid.")


def _payload(query: bytes, body: bytes) -> tuple[bytes, str]:
    """The bytes that are signed, query and body without the signature, and the signature, which stands last."""
    part = body if b"signature=" in body else query
    before, mark, given = part.rpartition(b"signature=")
    if not mark or b"&" in given:
        raise refusals.missing("signature")
    before = before.removesuffix(b"&")
    return (query + before if part is body else before + body), given.decode("ascii", "replace")


def _check_time(params: dict[str, str], now_us: int) -> None:
    value = params.get("timestamp")
    if not value:
        raise refusals.missing("timestamp")
    if not value.isdigit():
        raise refusals.malformed("timestamp", "^[0-9]{1,20}$")
    sent_us = int(value) if len(value) > 14 else int(value) * 1000
    window = params.get("recvWindow") or "5000"
    if not re.fullmatch(r"[0-9]+(\.[0-9]{1,3})?", window):
        raise refusals.malformed("recvWindow", "^[0-9]+(\\.[0-9]{1,3})?$")
    whole, _, part = window.partition(".")
    window_us = int(whole) * 1000 + int(part.ljust(3, "0") or 0)
    if window_us > _LONGEST_WINDOW_MS * 1000:
        raise refusals.Refusal(-1131, "recvWindow must be less than 60000.")
    if sent_us >= now_us + _AHEAD_US:
        raise refusals.Refusal(-1021, "Timestamp for this request was 1000ms ahead of the server's time.")
    if now_us - sent_us > window_us:
        raise refusals.Refusal(-1021, "Timestamp for this request is outside of the recvWindow.")
