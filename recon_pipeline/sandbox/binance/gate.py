"""The way of a request: limits, key, time, signature, product, parameters, answer; and the log of what was counted."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypedDict

from recon_pipeline.sandbox.binance.accounts import Account
from recon_pipeline.sandbox.binance.api import refusals
from recon_pipeline.sandbox.binance.api.call import SIGNING, Call
from recon_pipeline.sandbox.binance.api.keys import Doorman, read_params
from recon_pipeline.sandbox.binance.api.served import Served
from recon_pipeline.sandbox.binance.api.table import ENDPOINTS
from recon_pipeline.sandbox.binance.limits import Meter
from recon_pipeline.sandbox.binance.wire import encode
from recon_pipeline.sandbox.binance.world import World

_RAW_MOST, _RAW_SPAN_US = 300_000, 300_000_000


class Logged(TypedDict):
    """One request, as the sandbox counted it."""

    at_us: int
    account: str | None
    ip: str
    method: str
    path: str
    params: dict[str, str]
    weight: int
    used: int
    bucket: str
    status: int
    code: int | None
    fault: str | None


@dataclass(frozen=True)
class Asked:
    """A request as it came in."""

    method: str
    path: str
    query: bytes
    body: bytes
    ip: str
    key: str | None


@dataclass
class Told:
    """What goes out."""

    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)
    content_type: str = "application/json;charset=UTF-8"


class Gate:
    """Answers requests from a world, as its clock stands."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.doorman = Doorman(world)
        self.meter = Meter()
        self.log: list[Logged] = []
        self._raw: dict[tuple[str, int], int] = {}

    def tell(self, asked: Asked, now_us: int) -> Told:
        """The answer to a request, whatever it is."""
        served = ENDPOINTS.get((asked.method, asked.path))
        entry: Logged = {
            "at_us": now_us, "account": None, "ip": asked.ip, "method": asked.method, "path": asked.path,
            "params": {}, "weight": 0, "used": 0, "bucket": "", "status": 200, "code": None, "fault": None,
        }  # fmt: skip
        self.log.append(entry)
        if served is None:
            entry["status"] = 404
            return Told(404, b"<html><body><h1>404 Not Found</h1></body></html>", content_type="text/html")
        entry["bucket"] = served.bucket.name
        headers: dict[str, str] = {}
        try:
            return Told(200, encode(self._answer(served, asked, now_us, entry, headers)), headers)
        except refusals.Refusal as refusal:
            entry["status"], entry["code"] = refusal.status, refusal.code
            return refused(refusal, headers)

    def _answer(self, served: Served, asked: Asked, now_us: int, entry: Logged, headers: dict[str, str]) -> Any:
        self._check_ban(served, asked.ip, now_us)
        params = read_params(asked.query, asked.body)
        entry["params"] = {name: value for name, value in params.items() if name not in SIGNING}
        entry["weight"] = served.cost(params)
        if served.bucket.per == "ip":
            self._draw(served, asked.ip, now_us, entry, headers)
        account = self._let_in(served, asked, params, now_us, entry) if served.is_signed else None
        if served.bucket.per == "uid" and account is not None:
            self._draw(served, account.email, now_us, entry, headers)
        if account is not None:
            _check_rights(served, account)
        _check_names(served, params)
        kind = self.doorman.key(asked.key).kind if account is not None and asked.key else "good"
        return served.answer(Call(self.world, served.path, entry["params"], now_us, account, kind))

    def _check_ban(self, served: Served, ip: str, now_us: int) -> None:
        until_us = self.meter.banned_until(served.bucket.name, ip, now_us)
        if until_us is not None:
            raise refusals.banned(until_us // 1000, -(-(until_us - now_us) // 1_000_000))
        if served.bucket.name == "/api":
            window = (ip, now_us // _RAW_SPAN_US)
            self._raw[window] = self._raw.get(window, 0) + 1
            if self._raw[window] > _RAW_MOST:
                raise refusals.overweight(_RAW_MOST, 60)

    def _draw(self, served: Served, who: str, now_us: int, entry: Logged, headers: dict[str, str]) -> None:
        drawn = self.meter.draw(served.bucket, who, entry["weight"], now_us)
        entry["used"] = drawn.used
        headers[served.bucket.header] = str(drawn.used)
        if drawn.is_over:
            raise refusals.overweight(served.bucket.limit, drawn.retry_after_s)

    def _let_in(self, served: Served, asked: Asked, params: dict[str, str], now_us: int, entry: Logged) -> Account:
        account = self.doorman.admit(asked.key, asked.ip, now_us)
        entry["account"] = account.email
        self.doorman.check(asked.key or "", params, asked.query, asked.body, now_us)
        return account


def _check_rights(served: Served, account: Account) -> None:
    if served.product is not None and served.product not in account.products:
        if served.path.startswith("/sapi/v1/margin"):
            raise refusals.Refusal(-3003, "Margin account does not exist.")
        raise refusals.rejected_key()
    if served.whose == "main" and not account.is_main:
        raise refusals.main_only()
    if served.whose == "sub" and account.is_main:
        raise refusals.Refusal(-4003, "Support sub-account only.")


def _check_names(served: Served, params: dict[str, str]) -> None:
    """/sapi passes over parameters that it does not know; the other hosts refuse them."""
    known = served.params | SIGNING
    strangers = [name for name in params if name not in known]
    if strangers and not served.path.startswith("/sapi"):
        read, sent = len(params) - len(strangers), len(params)
        text = f"Not all sent parameters were read; read '{read}' parameter(s) but was sent '{sent}'."
        raise refusals.Refusal(-1104, text)


def refused(refusal: refusals.Refusal, headers: dict[str, str]) -> Told:
    """A refusal as it goes out."""
    if refusal.retry_after_s is not None:
        headers["Retry-After"] = str(refusal.retry_after_s)
    return Told(refusal.status, encode({"code": refusal.code, "msg": refusal.message}), headers)
