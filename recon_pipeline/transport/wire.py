"""Bytes to a venue and back: what was signed is what is sent, and nothing is waited for without an end."""

from __future__ import annotations

import json
import logging
import os
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from decimal import Decimal
from http.cookiejar import CookieJar, DefaultCookiePolicy
from importlib.metadata import version
from ipaddress import ip_address
from typing import Any, NoReturn, cast
from urllib.parse import urlsplit

import httpx

from recon_pipeline.errors import ConfigError, UnforeseenError
from recon_pipeline.transport.dialect import RawRequest
from recon_pipeline.transport.endpoints import Endpoint

_PROXIES = ("ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY")
_ANSWER_BYTES_MAX = 256 * 2**20
_DIGITS_MAX = 4000
"""Of a number, before the point or after it. The database takes four times as many, and Python a few hundred more."""
_ABSURD_WHOLE = re.compile(rb"[0-9]{%d}" % (_DIGITS_MAX + 1))
_ABSURD = f"a number of the answer has more than {_DIGITS_MAX} digits"
_MAY_BE_UNSTORABLE = re.compile(rb"\\u(?:0000|[dD][89a-fA-F])")
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_QUERY = re.compile(r"\?[^\s\"']*")


@dataclass(frozen=True)
class Timeouts:
    """How long is waited for an answer."""

    connect_seconds: float = 10.0
    read_seconds: float = 30.0
    """For the next bytes of it."""
    answer_seconds: float = 120.0
    """For the whole of it, looked at with each part of its body. Headers that come a byte at a time it does not bound:
    of them each byte has `read_seconds`."""


@dataclass(frozen=True)
class Exchange:
    """What came back, and when it was asked and there (`time.monotonic`)."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    """By lower-case name."""
    body: bytes = field(repr=False)
    began: float
    ended: float


class NoAnswer(Exception):  # noqa: N818 - it says what is the matter, and the client gives it its public name
    """No answer came, or half of one."""


class NotJson(Exception):  # noqa: N818
    """The bytes are not what a venue should answer with."""


def _http_client(**settings: Any) -> httpx.Client:
    """ConfigError, without what it says, if the environment names a proxy that cannot be used."""
    try:
        return httpx.Client(**settings)
    except (ImportError, ValueError, httpx.InvalidURL):
        named = [name for name in _PROXIES if os.environ.get(name) or os.environ.get(name.lower())]
        raise ConfigError(
            "the environment names a proxy that cannot be used",
            where=", ".join(named) or "the environment",
            expected="http://host:port or https://host:port (SOCKS is not supported)",
            next_step="correct it, or unset it",
        ) from None


class Wire:
    """The connections to the hosts of a venue, shared by threads."""

    def __init__(self, venue: str, base_urls: Mapping[str, str], timeouts: Timeouts) -> None:
        self._timeouts = timeouts
        self._bases = {host: _base(venue, host, url) for host, url in base_urls.items()}
        quiet_http_logs()
        self._http = _http_client(
            timeout=httpx.Timeout(timeouts.read_seconds, connect=timeouts.connect_seconds),
            limits=httpx.Limits(max_connections=64, max_keepalive_connections=32, keepalive_expiry=30.0),
            follow_redirects=False,
            # a proxy of the environment is not for this machine
            trust_env=not all(_is_loopback(base) for base in self._bases.values()),
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),  # what one account is sent is not another's
            headers={"User-Agent": f"recon-pipeline/{version('recon-pipeline')}", "Accept": "application/json"},
        )

    def address(self, host: str) -> str:
        """Host and port behind the venue's name of a host; ConfigError if it has none."""
        if host not in self._bases:
            raise ConfigError(
                f"no address of the host '{host}'", where="the venue's base URLs", expected=", ".join(self._bases)
            )
        return self._bases[host].partition("://")[2]

    def exchange(self, endpoint: Endpoint, raw: RawRequest) -> Exchange:
        """Send a request as it is; NoAnswer if nothing whole comes back."""
        target = f"{endpoint.path}?{raw.query}" if raw.query else endpoint.path
        url = f"{self._bases[endpoint.host]}{target}"
        request = self._http.build_request(endpoint.method, url, headers=dict(raw.headers), content=raw.body or None)
        if not request.url.raw_path.endswith(target.encode()):
            raise UnforeseenError("a request would not be sent as it was signed", where=str(endpoint))
        began = time.monotonic()
        try:
            with closing(self._http.send(request, stream=True)) as response:
                body = self._read(response, began + self._timeouts.answer_seconds)
        except (httpx.HTTPError, httpx.StreamError) as error:
            raise NoAnswer(_what_failed(error)) from None  # the library's error holds the request, key and all
        headers = {name.lower(): text for name, text in response.headers.items()}
        return Exchange(response.status_code, headers, body, began, time.monotonic())

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def _read(self, response: httpx.Response, deadline: float) -> bytes:
        stream = cast("httpx.SyncByteStream", response.stream)
        response.stream = _Timed(stream, deadline, f"{self._timeouts.answer_seconds:g} s")
        parts, size = [], 0
        for part in response.iter_bytes():
            parts.append(part)
            size += len(part)
            if size > _ANSWER_BYTES_MAX:
                raise NoAnswer(f"the answer is longer than {_ANSWER_BYTES_MAX // 2**20} MiB")
        return b"".join(parts)


@dataclass(frozen=True)
class _Timed(httpx.SyncByteStream):
    """The bytes as they come in, until a deadline: what is compressed may give no byte of the answer for long."""

    stream: httpx.SyncByteStream
    deadline: float
    in_words: str

    def __iter__(self) -> Iterator[bytes]:
        for part in self.stream:
            if time.monotonic() > self.deadline:
                raise NoAnswer(f"the answer was not whole after {self.in_words}")
            yield part

    def close(self) -> None:
        self.stream.close()


def parsed(body: bytes) -> Any:
    """The JSON of an answer, numbers exact: whole ones as int, all others as Decimal. NotJson if it is none.

    What JSON may hold and no database stores is left out: U+0000 and half an emoji are U+FFFD, and a number of
    thousands of digits is refused.
    """
    try:
        content = json.loads(
            body.decode("utf-8"), parse_float=_decimal, parse_constant=_refuse_constant, object_pairs_hook=_each_once
        )
        return _storable(content) if _MAY_BE_UNSTORABLE.search(body) else content
    except (ValueError, RecursionError):
        raise NotJson(_ABSURD if _ABSURD_WHOLE.search(body) else _what_it_is(body)) from None


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object, if it has each name once: of two amounts under one name nobody knows which is meant."""
    content = dict(pairs)
    if len(content) < len(pairs):
        raise NotJson("an object has two fields of one name")
    return content


def _decimal(text: str) -> Decimal:
    try:
        number = Decimal(text)
    except ArithmeticError:
        raise NotJson(_ABSURD) from None
    if len(text) > _DIGITS_MAX or abs(number.adjusted()) > _DIGITS_MAX:
        raise NotJson(_ABSURD)
    return number


def _storable(content: Any) -> Any:
    if isinstance(content, str):
        return _UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", content)
    if isinstance(content, list):
        return [_storable(each) for each in content]
    if isinstance(content, dict):
        return {_storable(name): _storable(value) for name, value in content.items()}
    return content


def quiet_http_logs() -> None:
    """Have httpx name the paths that it asks for in its log, not the query strings: those hold signatures."""
    logger = logging.getLogger("httpx")
    if not any(isinstance(each, _WithoutQueries) for each in logger.filters):
        logger.addFilter(_WithoutQueries())


class _WithoutQueries(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        if "?" in (text := record.getMessage()):
            record.msg, record.args = _QUERY.sub("?...", text), None
        return True


def _base(venue: str, host: str, url: str) -> str:
    parts = urlsplit(url)
    is_whole = parts.scheme in ("https", "http") and parts.hostname and not (parts.query or parts.fragment)
    if not is_whole or parts.username is not None or (parts.scheme == "http" and not _is_loopback(url)):
        raise ConfigError(
            f"the address of the host '{host}' cannot be used",
            where=f"venue {venue}",
            expected="https://..., or http://127.0.0.1:PORT for a sandbox, without a login or a query",
        )
    return url.rstrip("/")


def _is_loopback(url: str) -> bool:
    name = urlsplit(url).hostname or ""
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return name == "localhost"


def _what_failed(error: Exception) -> str:
    """In words of ours: the library's may quote the request."""
    words: Iterable[tuple[type[Exception], str]] = (
        (httpx.ConnectTimeout, "no connection in time"),
        (httpx.PoolTimeout, "no connection was free in time"),
        (httpx.TimeoutException, "no answer in time"),
        (httpx.ConnectError, "no connection"),
        (httpx.ProxyError, "the proxy refused"),
        (httpx.RemoteProtocolError, "the answer broke off, or was no HTTP"),
        (httpx.NetworkError, "the connection broke"),
        (httpx.DecodingError, "the answer's compression is damaged"),
    )
    said = next((text for kind, text in words if isinstance(error, kind)), "no answer")
    return f"{said} ({type(error).__name__})"


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def _what_it_is(body: bytes) -> str:
    start = body[:200].lstrip().lower()
    if not start:
        return "the answer is empty"
    if start.startswith((b"<!doctype", b"<html", b"<?xml", b"<head")):
        return "the answer is a page (HTML), not JSON"
    if start[:1] in (b"{", b"["):
        return "the answer is damaged or cut off: it begins as JSON and does not end so"
    return "the answer is not JSON"
