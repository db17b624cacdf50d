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
from recon_pipeline.sandbox.binance.book import Move, Record
from recon_pipeline.sandbox.binance.life import transfers
from recon_pipeline.sandbox.binance.limits import Meter
from recon_pipeline.sandbox.binance.money import plain
from recon_pipeline.sandbox.binance.plants import Outage, Race
from recon_pipeline.sandbox.binance.trouble import Trouble
from recon_pipeline.sandbox.binance.wire import encode
from recon_pipeline.sandbox.binance.world import World

RACE_US = 1_000_000
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


class Nonsense(Exception):  # noqa: N818 - the name says what comes
    """In place of an answer comes something that is none."""

    def __init__(self, outage: Outage) -> None:
        super().__init__(outage.path)
        self.outage = outage


class Gate:
    """Answers requests from a world, as its clock stands."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.trouble = Trouble(world.seed, world.transport)
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
        except Nonsense as nonsense:
            entry["fault"], entry["status"] = "outage", nonsense.outage.status
            return Told(nonsense.outage.status, nonsense.outage.body, headers, nonsense.outage.content_type)
        except refusals.Refusal as refusal:
            if refusal.status == 429 and "zero_retry_after" in self.world.transport:
                refusal.retry_after_s = 0
            entry["status"], entry["code"] = refusal.status, refusal.code
            return refused(refusal, headers)

    def fail(self, asked: Asked, now_us: int, fault: str, status: int) -> None:
        """Note a request that never came to an answer."""
        self.log.append({
            "at_us": now_us, "account": None, "ip": asked.ip, "method": asked.method, "path": asked.path,
            "params": {}, "weight": 0, "used": 0, "bucket": "", "status": status, "code": None, "fault": fault,
        })  # fmt: skip

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
        outage = self.world.plants.outage(entry["account"], served.path, now_us)
        if outage is not None:
            raise Nonsense(outage)
        kind = self.doorman.key(asked.key).kind if account is not None and asked.key else "good"
        told_us = now_us + (self.trouble.skew_us(now_us) if served.path.endswith("/time") else 0)
        return served.answer(Call(self.world, served.path, entry["params"], told_us, account, kind))

    def race(self, asked: Asked, now_us: int) -> Race | None:
        """The race that this read sets off, if any."""
        account = self.doorman.owner(asked.key)
        return self.world.plants.race(account, asked.path, now_us) if account is not None else None

    def run_race(self, race: Race, now_us: int) -> None:
        """Money goes to the spot wallet and comes back, within a second after now."""
        race.is_over = True
        code = next(code for code, (wallet, _, _) in transfers.CODES.items() if wallet == race.wallet)
        for number, sign in enumerate((-1, 1)):
            at_us = now_us + RACE_US // 4 * (number + 1)
            tran_id = 99_000_000_000 + at_us // 1000 % 1_000_000_000
            for wallet, amount in ((race.wallet, race.amount * sign), ("SPOT", -race.amount * sign)):
                reason = f"transfer {tran_id}"
                self.world.ledger.post(Move(at_us, race.account, wallet, race.asset, amount, "balance", reason))
            record = Record(at_us // 1000, 0)
            record.change(at_us, {
                "asset": race.asset, "amount": plain(race.amount), "status": "CONFIRMED", "tranId": tran_id,
                "type": f"{code}_MAIN" if sign < 0 else f"MAIN_{code}", "timestamp": at_us // 1000,
            })  # fmt: skip
            self.world.archive.add(race.account, transfers.PATH, record)

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
        skewed_us = now_us + self.trouble.skew_us(now_us)
        self.doorman.check(asked.key or "", params, asked.query, asked.body, skewed_us)
        return account


def _check_rights(served: Served, account: Account) -> None:
    if served.product is not None and served.product not in account.products:
        if served.path.startswith("/sapi/v1/margin"):
            raise refusals.Refusal(-3003, "Margin account does not exist.")
        raise refusals.rejected_key()
    if served.whose == "main" and not account.is_main:
        raise refusals.main_only()
    if served.whose == "sub" and account.is_main:
        raise refusals.sub_only(served.path)


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
