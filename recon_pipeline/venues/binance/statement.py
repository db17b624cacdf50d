"""The statement that a user downloads from Binance's site, as an independent ledger beside what the API told.

It lists every change of every wallet, and cannot be had over the API. Each of its rows is matched with a flow of the
same wallet, coin and amount at most a few seconds away; what remains on either side is listed. Its withdrawals include
the fee, so a row may also match the sum of one event's flows.
"""

from __future__ import annotations

import csv
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, Literal

from recon_pipeline.errors import SourceFileError

HEADER = ("User_ID", "UTC_Time", "Account", "Operation", "Coin", "Change", "Remark")
NEAR = timedelta(seconds=5)
"""How far the two may tell of one event apart: the statement has whole seconds, and rounds."""

_WALLETS = {
    "spot": "SPOT",
    "funding": "FUNDING",
    "p2p": "FUNDING",
    "card": "FUNDING",
    "cross margin": "MARGIN",
    "crossmargin": "MARGIN",
    "margin": "MARGIN",
    "isolated margin": "ISOLATED_MARGIN",
    "isolatedmargin": "ISOLATED_MARGIN",
    "usdt-futures": "FUTURES",
    "usd-mfutures": "FUTURES",
    "usdⓢ-m futures": "FUTURES",
    "coin-futures": "FUTURES_COIN",
    "coin-m futures": "FUTURES_COIN",
    "option": "OPTION",
    "options": "OPTION",
    "earn": "EARN",
    "savings": "EARN",
    "simple earn": "EARN",
}
_AMOUNT = re.compile(r"[+-]?\d{1,18}(\.\d{1,18})?([eE][+-]?\d{1,2})?")

Side = Literal["statement", "api"]


class NotAStatement(SourceFileError):  # noqa: N818 - the name says what is the matter
    """A file beside the statements that is none, or a row of one that cannot be read."""


@dataclass(frozen=True)
class Line:
    """One change of one wallet, as one side tells of it. `event` ties the rows of one event on the API's side."""

    side: Side
    account: str
    wallet: str | None
    asset: str
    amount: Decimal
    at: datetime
    what: str
    place: str
    event: str = ""


def read_statement(path: Path, accounts: Mapping[str, str]) -> list[Line]:
    """The rows of a downloaded statement; `accounts` says whose each User_ID is. NotAStatement names the row."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = csv.DictReader(file)
        header = tuple(name.strip() for name in rows.fieldnames or ())
        if header != HEADER:
            raise NotAStatement(
                f"its columns are {', '.join(header) or 'missing'}",
                where=path.name,
                expected=", ".join(HEADER),
                next_step="download it anew: Orders, Transaction History, Generate All Statements",
            )
        return [_line(path, number, row, accounts) for number, row in enumerate(rows, start=2)]


def _line(path: Path, number: int, row: Mapping[str, Any], accounts: Mapping[str, str]) -> Line:
    def refuse(found: str, expected: str, next_step: str = "download the statement anew") -> NotAStatement:
        return NotAStatement(found, where=f"{path.name}, line {number}", expected=expected, next_step=next_step)

    told = {name: (row.get(name) or "").strip() for name in HEADER}
    account = accounts.get(told["User_ID"])
    if account is None:
        known = ", ".join(sorted(accounts)) or "none is configured"
        raise refuse("a User_ID that no account has", known, "give the account its user_id in recon.yaml")
    try:
        at = datetime.strptime(told["UTC_Time"], "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    except ValueError:
        raise refuse("UTC_Time is no instant", "YYYY-MM-DD HH:MM:SS") from None
    if not told["Coin"] or not _AMOUNT.fullmatch(told["Change"]):
        raise refuse("Coin or Change cannot be read", "a code, and an amount with at most 18 decimals")
    try:
        amount = Decimal(told["Change"])
    except InvalidOperation:
        raise refuse("Change is no amount", "an amount with at most 18 decimals") from None
    wallet = _WALLETS.get(told["Account"].casefold())
    what = " ".join(filter(None, (told["Operation"], told["Remark"])))
    return Line("statement", account, wallet, told["Coin"], amount, at, what, f"{path.name}, line {number}")


def unmatched(statement: Iterable[Line], api: Iterable[Line]) -> list[Line]:
    """What either side tells alone, in the order of time."""
    flows: dict[tuple[str, str, Decimal], list[Line]] = defaultdict(list)
    for flow in sorted(api, key=lambda line: (line.at, line.place)):
        flows[flow.account, flow.asset, flow.amount].append(flow)
    left = [line for line in sorted(statement, key=lambda line: (line.at, line.place)) if not _take(flows, line)]
    events = _events(line for same in flows.values() for line in same)
    gone: set[str] = set()
    only_statement = [line for line in left if line.amount != 0 and not _take_event(events, line, gone)]
    only_api = [line for same in flows.values() for line in same if line.amount != 0 and line.place not in gone]
    return sorted([*only_statement, *only_api], key=lambda line: (line.at, line.account, line.asset, line.place))


def _take(flows: Mapping[tuple[str, str, Decimal], list[Line]], line: Line) -> bool:
    """Take the nearest flow of the same amount away, if one is near enough and of the same wallet."""
    same = flows.get((line.account, line.asset, line.amount), [])
    near = [flow for flow in same if abs(flow.at - line.at) <= NEAR and _same_wallet(flow, line)]
    if not near:
        return False
    same.remove(min(near, key=lambda flow: (abs(flow.at - line.at), flow.at, flow.place)))
    return True


def _same_wallet(flow: Line, line: Line) -> bool:
    """An account of the statement that has no wallet here may be any."""
    return line.wallet is None or flow.wallet is None or flow.wallet.partition(":")[0] == line.wallet


def _events(flows: Iterable[Line]) -> dict[tuple[str, str], list[Sequence[Line]]]:
    """The flows of one event in one coin, by (account, coin)."""
    of_event: dict[tuple[str, str, str], list[Line]] = defaultdict(list)
    for flow in flows:
        of_event[flow.account, flow.asset, flow.event].append(flow)
    events: dict[tuple[str, str], list[Sequence[Line]]] = defaultdict(list)
    for (account, asset, _), parts in of_event.items():
        if len(parts) > 1:
            events[account, asset].append(parts)
    return events


def _take_event(events: Mapping[tuple[str, str], list[Sequence[Line]]], line: Line, gone: set[str]) -> bool:
    for parts in events.get((line.account, line.asset), []):
        is_near = all(abs(part.at - line.at) <= NEAR and _same_wallet(part, line) for part in parts)
        if is_near and sum(part.amount for part in parts) == line.amount and not gone & {part.place for part in parts}:
            gone.update(part.place for part in parts)
            return True
    return False


def flow_lines(rows: Iterable[Mapping[str, Any]]) -> Iterator[Line]:
    """Flows of the frames as lines: one for each row; those of one raw record are one event."""
    for row in rows:
        yield Line(
            "api",
            row["account"],
            row["wallet"],
            row["asset"],
            Decimal(row["amount"]),
            row["datetime"],
            f"{row['txn_subtype']}",
            f"{row['source']} {row['external_id']}",
            str(row["raw_id"]),
        )
