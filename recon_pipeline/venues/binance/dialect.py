"""How Binance speaks HTTP: keys in a header, the signature last, weights in headers, and its table of error codes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote

from recon_pipeline.transport.clock import instant_of, microseconds
from recon_pipeline.transport.credentials import Credentials
from recon_pipeline.transport.dialect import RawRequest, Refusal, Remedy
from recon_pipeline.transport.endpoints import Endpoint
from recon_pipeline.transport.errors import (
    AccountNotThere,
    ApiKeyInvalid,
    ClockRefused,
    CountryRefused,
    FirewallRefused,
    HostBanned,
    InsufficientBalance,
    InvalidSymbol,
    NetworkError,
    NotMainAccount,
    ParameterError,
    ProductNotEnabled,
    RateLimit,
    UnknownVenueError,
    VenueError,
    WindowTooLong,
    WindowTooOld,
)
from recon_pipeline.transport.signing import Params, encoded
from recon_pipeline.transport.wire import NotJson, parsed
from recon_pipeline.venues.binance.endpoints import TIME

RECV_WINDOW_MS = 10_000
_KEY_HEADER = "X-MBX-APIKEY"
_USED_OF_HOST = "x-mbx-used-weight-1m"
_USED_OF_ADDRESS = "x-sapi-used-ip-weight-1m"
_USED_OF_ACCOUNT = "x-sapi-used-uid-weight-1m"
_BANNED_UNTIL = re.compile(r"banned until ([0-9]{13})(?![0-9])")
_WEIGHT = re.compile(r"[0-9]{1,12}").fullmatch
SUCCESS_CODES = frozenset({"0", "200", "000000", "000000000"})
"""Codes in the body of an answer that is none but what was asked for."""
_OWN_CODES = range(-999_999, -999)


@dataclass(frozen=True)
class _Meaning:
    """What a code means."""

    error: type[VenueError]
    found: str
    remedy: Remedy = Remedy.NONE
    expected: str = ""
    next_step: str = ""


_BUSY = _Meaning(NetworkError, "the venue is busy or failed", Remedy.TRY_AGAIN)
_TOO_MANY = _Meaning(RateLimit, "the allowance is used up", Remedy.WAIT)
_CLOCK = _Meaning(ClockRefused, "the venue does not accept our time", Remedy.SET_CLOCK, "a time within recvWindow")
_KEY_REFUSED = _Meaning(
    ApiKeyInvalid,
    "the venue refuses the key",
    Remedy.SUSPECT_BAN,
    "a key that exists, may read, and is allowed from this machine's address",
)
_KEY_WRONG = _Meaning(ApiKeyInvalid, "the venue refuses the key", expected="a key that exists and may read")
_UNAUTHORISED = _Meaning(ApiKeyInvalid, "the venue does not let the key in", expected="a key that exists and may read")
_SIGNATURE = _Meaning(
    ApiKeyInvalid,
    "the venue refuses the signature",
    expected="the secret that belongs to the key (HMAC), or its private key (RSA, Ed25519)",
)
_PRODUCT = _Meaning(
    ProductNotEnabled,
    "the venue refuses the key for this product",
    expected="an account that has the product opened, or is a main account, and a key that may read it",
)
_PARAMETER = _Meaning(ParameterError, "the venue refuses a parameter")
_TOO_LONG = _Meaning(WindowTooLong, "the venue refuses a span of that length", expected="a shorter span")
_TOO_OLD = _Meaning(WindowTooOld, "the venue does not tell of so long ago", expected="a later start")
_NOT_MAIN = _Meaning(NotMainAccount, "the venue refuses the e-mail, or answers main accounts only")
_NO_FAMILY = _Meaning(NotMainAccount, "the account has no sub-accounts and is none, or the question is for the other")
_SYMBOL = _Meaning(InvalidSymbol, "the venue does not know the symbol or the asset")
_BALANCE = _Meaning(InsufficientBalance, "the venue speaks of too small a balance")
_NOT_THERE = _Meaning(AccountNotThere, "the product's account does not exist")
_UNKNOWN = _Meaning(UnknownVenueError, "an error that this release does not know")


def _by_code(*groups: tuple[_Meaning, Sequence[int]]) -> dict[int, _Meaning]:
    return {code: meaning for meaning, codes in groups for code in codes}


ERROR_CODES: Mapping[int, _Meaning] = _by_code(
    (_TOO_MANY, (-1003, -1015, -4005, -12014)),
    (_CLOCK, (-1021,)),
    (_SIGNATURE, (-1022,)),
    (_KEY_REFUSED, (-2015,)),
    (_KEY_WRONG, (-1002, -1099, -2008, -2014, -2017, -4004)),
    (_PARAMETER, (*range(-1106, -1099), -1023, -1108, -1111, -1116, -1117, -1120, -1128, -1130, -1131, -1134, -1135)),
    (_TOO_LONG, (-1127, -4047, -6021)),
    (_TOO_OLD, (-4166,)),
    (_NOT_MAIN, (-4003, -4006)),
    (_SYMBOL, (-1121, -1220, -3002, -3027, -3028, -4018)),
    (_NOT_THERE, (-3003,)),
    (_BALANCE, (-2010, -2018, -2019, -3041, -4026)),
    (_BUSY, (-1000, -1001, -1004, -1006, -1007, -1008, -1016, -3000, -3044)),
)


_OF_FAMILIES = "/sub-account/"
_NO_FAMILY_CODES = frozenset({-8012, -12022})
"""What these endpoints answer to who has no sub-accounts (the function is not enabled) and to who is none. On no page
of the venue: seen in answers to real keys that were published, and so believed nowhere else."""


class BinanceDialect:
    """Signing, headers and errors of every family of Binance's API."""

    time_endpoint: Endpoint | None = TIME

    def __init__(self, recv_window_ms: int = RECV_WINDOW_MS) -> None:
        self._recv_window_ms = recv_window_ms

    def sign(self, endpoint: Endpoint, params: Params, credentials: Credentials | None, now: datetime) -> RawRequest:
        """The signature goes last, over exactly what is sent; of a POST it is the body that is signed."""
        if credentials is None or endpoint.security == "none":
            return RawRequest(query=encoded(params))
        key = credentials.key.reveal()
        stamped = dict(params) | {"recvWindow": self._recv_window_ms, "timestamp": microseconds(now) // 1000}
        payload = encoded(stamped)
        signature = credentials.signed(payload.encode())
        sent = f"{payload}&signature={quote(signature, safe='')}"
        headers = {_KEY_HEADER: key}
        if endpoint.method == "POST":
            headers["Content-Type"] = "application/x-www-form-urlencoded"
            return RawRequest(body=sent.encode(), headers=headers, secrets=(key, signature))
        return RawRequest(query=sent, headers=headers, secrets=(key, signature))

    def used_weight(self, endpoint: Endpoint, headers: Mapping[str, str]) -> int | None:
        """What is used of the endpoint's bucket in the minute, as the header of its family says."""
        if not endpoint.path.startswith("/sapi/"):
            name = _USED_OF_HOST
        elif endpoint.bucket.per == "account":
            name = _USED_OF_ACCOUNT
        else:
            name = _USED_OF_ADDRESS
        text = headers.get(name, "")
        return int(text) if _WEIGHT(text) else None

    def classify(self, endpoint: Endpoint, status: int, headers: Mapping[str, str], body: Any) -> Refusal | None:
        """By the status where it says all, else by the code in the body, on whatever status it comes."""
        code, message = _told(body)
        if status == 200 and code is None:
            return None
        wait_seconds = _retry_after(headers)
        if status == 418:
            return _banned(code, message, wait_seconds)
        if status == 429:
            meaning = _TOO_MANY
        elif code in _NO_FAMILY_CODES and _OF_FAMILIES in endpoint.path:
            meaning = _NO_FAMILY
        elif isinstance(code, int) and code in ERROR_CODES:
            meaning = _of_endpoint(ERROR_CODES[code], endpoint)
        else:
            meaning = _of_endpoint(_of_status(status, is_told=code is not None), endpoint)
        if meaning is _TOO_MANY and (until := _banned_until(message)) is not None:
            return _banned(code, message, wait_seconds, until)
        return Refusal(
            meaning.error, meaning.found, None if code is None else str(code), message, meaning.remedy,
            wait_seconds=wait_seconds, expected=meaning.expected, next_step=meaning.next_step,
        )  # fmt: skip

    def server_time(self, body: Any) -> datetime:
        """Told in milliseconds."""
        told = body["serverTime"]
        if isinstance(told, bool) or not isinstance(told, int):
            raise TypeError("serverTime is no whole number")
        return instant_of(told * 1000)


def _told(body: Any) -> tuple[int | str | None, str]:
    """The code and the words of an error in a body; no code if it is none."""
    if not isinstance(body, dict):
        return None, ""
    words = body.get("msg", body.get("message", body.get("errorMessage")))
    message = words if isinstance(words, str) else ""
    if body.get("success") is False and message.lstrip().startswith("{"):
        inner = _json(message)  # an error as text inside an answer
        if isinstance(inner, dict) and inner.get("code") is not None:
            return _told(inner)
    code = _code(body.get("code"))
    is_own = isinstance(code, int) and code in _OWN_CODES  # no other number looks so: it needs no words beside it
    if is_own or (code is not None and str(code) not in SUCCESS_CODES and ("msg" in body or "message" in body)):
        return code, message
    if body.get("success") is False:
        return "success:false" if code is None else code, message
    return None, message


def _json(text: str) -> Any:
    try:
        return parsed(text.encode())
    except (NotJson, ValueError):
        return None


def _code(told: Any) -> int | str | None:
    """A code as it is told, one of the venue's own as a number; None for what is no code."""
    if isinstance(told, str) and re.fullmatch(r"-[0-9]{4,6}", told):
        return int(told)
    return told if isinstance(told, int | str) and not isinstance(told, bool) else None


def _of_endpoint(meaning: _Meaning, endpoint: Endpoint) -> _Meaning:
    """A refused key says elsewhere that the account has not opened the product, or is no main account."""
    is_of_product = meaning in (_KEY_REFUSED, _UNAUTHORISED) and endpoint.opened != "always"
    return _PRODUCT if is_of_product else meaning


def _of_status(status: int, *, is_told: bool) -> _Meaning:
    """By the status alone, where the venue's own code says nothing or is not told."""
    if status >= 500:
        return _BUSY
    if status == 401:
        return _UNAUTHORISED
    if status == 403 and not is_told:
        return _Meaning(FirewallRefused, "the venue's firewall refuses the request")
    if status == 404:
        return _Meaning(UnknownVenueError, "the venue does not know the endpoint", next_step=_REMOVED)
    if status == 451:
        return _Meaning(CountryRefused, "the venue does not answer from this country")
    return _UNKNOWN


_REMOVED = (
    "if the venue has removed it, name the stream under gone of the venue in recon.yaml, with the first day on which it"
    " was not there any more; if the account never had it, name it under never_used of the account"
)


def _banned(code: int | str | None, message: str, wait_seconds: float | None, until: datetime | None = None) -> Refusal:
    """The address is banned, until whenever the answer says."""
    until = until or _banned_until(message)
    return Refusal(
        HostBanned, "the venue has banned this machine's address", None if code is None else str(code), message,
        Remedy.WAIT, wait_seconds=wait_seconds, until=until,
    )  # fmt: skip


def _banned_until(message: str) -> datetime | None:
    found = _BANNED_UNTIL.search(message)
    return instant_of(int(found[1]) * 1000) if found else None


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """In seconds, or as an HTTP date."""
    text = headers.get("retry-after", "").strip()
    if re.fullmatch(r"[0-9]{1,9}(\.[0-9]+)?", text):
        return float(text)
    try:
        at = parsedate_to_datetime(text) if text else None
    except (ValueError, OverflowError):
        return None
    if at is None or at.tzinfo is None:
        return None
    told_at = headers.get("date", "")
    try:
        now = parsedate_to_datetime(told_at) if told_at else datetime.now(UTC)
    except (ValueError, OverflowError):
        now = datetime.now(UTC)
    return max((at - now).total_seconds(), 0.0) if now.tzinfo else None
