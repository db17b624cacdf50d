"""The statement that a user downloads from Binance's site, as an independent ledger beside what the API told.

It lists every change of every wallet, and cannot be had over the API. Each of its rows is matched with a flow of the
same wallet, coin and amount at most a few seconds away; what remains on either side is listed. It tells a withdrawal
with its fee in one row, and others likewise, so a row may also match the sum of the flows of one event.
"""

from __future__ import annotations

import csv
import re
from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, Literal, TypeAlias

from recon_pipeline.errors import SourceFileError
from recon_pipeline.venues.binance.mapping.cells import EXACT
from recon_pipeline.venues.binance.mapping.ld_tokens import UNDERLYING, LdTokens

HEADER = ("User_ID", "UTC_Time", "Account", "Operation", "Coin", "Change", "Remark")
LOCAL_HEADER = ("User ID", "Time", *HEADER[2:])
"""Of the files that tell times in the zone which their name states."""
NEAR = timedelta(seconds=5)
"""How far the two may tell of one event apart: the statement has whole seconds, and rounds."""

_WALLETS = {
    "spot": "SPOT",
    "funding": "FUNDING",
    "p2p": "FUNDING",
    "card": "FUNDING",
    "margin": "MARGIN",
    "crossmargin": "MARGIN",
    "isolatedmargin": "ISOLATED_MARGIN",
    "usdfutures": "FUTURES",
    "usdtfutures": "FUTURES",
    "usdmfutures": "FUTURES",
    "coinfutures": "FUTURES_COIN",
    "coinmfutures": "FUTURES_COIN",
    "option": "OPTION",
    "options": "OPTION",
    "earn": "EARN",
    "savings": "EARN",
    "simpleearn": "EARN",
}
"""By what `_plain` leaves of an account's name: the site has written it with and without spaces and hyphens."""
_YEARS = range(2017, 2100)
"""Since the venue is there; what is far beyond has no days around it to be compared with."""
_ANEW = "download it anew, the site in English: Orders, Transaction History, Generate All Statements"
IN_UTC = "set the time zone of Binance's site to UTC, and download it anew"
_KEEP = f"keep the name under which it was downloaded; or {IN_UTC}"
_ZONE = re.compile(r"\(UTC([^)]*)\)", re.IGNORECASE)
_OFFSET = re.compile(r"(\+|--?)(\d{1,2})(?:[:_-]?(00|15|30|45)|\.(0|25|5|75))?", re.ASCII)
"""How a name states an offset: +3, --6 for six hours behind, +5:30 and what is made of its colon, +5.5."""
_PART = re.compile(r"(.*-part)(\d+)(-of\d+.*)", re.IGNORECASE | re.ASCII)
_MINUTES = {"25": 15, "5": 30, "75": 45}
ZONES = (timedelta(hours=-12), timedelta(hours=14))
"""How far a zone may be behind UTC and ahead of it."""
_AMOUNT = re.compile(r"[+-]?\d{1,18}(\.\d{1,18})?([eE][+-]?\d{1,2})?")

_EARN = "EARN"
_LEGS = frozenset({"amt", "fee", "from", "to", "base", "quote", "earn", "rewards"})
"""How the ids of what may stand in one row end."""

Side = Literal["statement", "api"]
Event: TypeAlias = tuple[int, ...]
"""Flows that one row may tell together, by number."""
_Dated: TypeAlias = tuple[datetime, Event]
"""An event and the instant of its first flow."""
_Sum: TypeAlias = tuple[str, str, Decimal]
"""Account, coin and amount."""


class NotAStatement(SourceFileError):  # noqa: N818 - the name says what is the matter
    """A file beside the statements that is none, or a row of one that cannot be read."""


@dataclass(frozen=True)
class Line:
    """One change of one wallet, as one side tells of it. Flows of the API that share one of their `ties` may be one
    event; the closest tie comes first."""

    side: Side
    account: str
    wallet: str | None
    asset: str
    amount: Decimal
    at: datetime
    what: str
    place: str
    ties: tuple[str, ...] = ()


@dataclass(frozen=True)
class Statement:
    """One downloaded file: its rows, and how far the times that it tells are ahead of UTC."""

    path: Path
    ahead: timedelta
    lines: list[Line]


def downloads(statements: Iterable[Statement]) -> list[list[Line]]:
    """The rows of each download: of a file, or of files that are one in parts (`-part1-of2`, `-part2-of2`)."""
    found: list[list[Line]] = []
    before: tuple[str, ...] = ()
    number = 0
    for statement in sorted(statements, key=lambda each: (_part(each.path), each.path)):
        (name, part), last = _part(statement.path), (before, number)
        if part and last == (name, part - 1):
            found[-1] += statement.lines
        else:
            found.append([*statement.lines])
        before, number = name, part
    return found


def _part(path: Path) -> tuple[tuple[str, ...], int]:
    """The download that a file is a part of, and which; a file that is a whole download is part 0 of itself."""
    parted = _PART.fullmatch(path.name)
    return ((parted[1], parted[3]), int(parted[2])) if parted else ((path.name,), 0)


def told_once(downloaded: Iterable[Sequence[Line]]) -> list[Line]:
    """The rows of several downloads. Where two of them span the same time, what both tell is told once; a row that one
    of them tells twice is two."""
    told: dict[tuple[Line, int], Line] = {}
    for lines in downloaded:
        seen: Counter[Line] = Counter()
        for line in lines:
            row = replace(line, place="")
            seen[row] += 1
            told.setdefault((row, seen[row]), line)
    return list(told.values())


def read_statement(path: Path, accounts: Mapping[str, str]) -> Statement:
    """A downloaded statement; `accounts` says whose each User_ID is. NotAStatement names the row."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = csv.reader(file, strict=True)  # a quote that is never closed would swallow the rows after it
        try:
            ahead = _ahead(path.name, _header(path.name, next(rows, [])))
            return Statement(path, ahead, [_line(path, rows.line_num, row, accounts, ahead) for row in rows if row])
        except csv.Error as error:
            found, where = str(error), f"{path.name}, line {rows.line_num}"
            raise NotAStatement(found, where=where, expected="CSV, each quote closed", next_step=_ANEW) from None
        except UnicodeDecodeError:
            found = "it is no text in UTF-8"
            raise NotAStatement(found, where=path.name, expected=", ".join(HEADER), next_step=_ANEW) from None


def _header(file: str, names: Sequence[str]) -> tuple[str, ...]:
    """Which of the two headers a file has."""
    plain = [_plain(name) for name in names]
    for header in (HEADER, LOCAL_HEADER):
        if plain == [_plain(name) for name in header]:
            return header
    raise NotAStatement(
        f"its columns are {', '.join(name.strip() for name in names) or 'missing'}",
        where=file,
        expected=f"{', '.join(HEADER)}; or Time for UTC_Time",
        next_step=_ANEW,
    )


def _plain(name: str) -> str:
    """A column or an account without what the site writes in several ways: case, spaces, hyphens, the S in a circle."""
    return "".join(letter for letter in name.casefold() if letter.isalnum())


def _ahead(file: str, header: tuple[str, ...]) -> timedelta:
    """How far a file is ahead of UTC: not at all with the column UTC_Time; with Time, only its name tells."""
    texts = _ZONE.findall(file)
    stated = {_offset(text) for text in texts}
    told, wanted = " and ".join(f"(UTC{text})" for text in texts), "one offset in its name, as (UTC+3) or (UTC+5:30)"
    if None in stated or len(stated) > 1:
        raise NotAStatement(f"its name states the offset {told}", where=file, expected=wanted, next_step=_KEEP)
    [ahead] = stated or {None}
    if header == LOCAL_HEADER and ahead is None:
        found = "its column Time is in a time zone that its name does not state"
        raise NotAStatement(found, where=file, expected=wanted, next_step=_KEEP)
    if header == HEADER and ahead:
        raise NotAStatement(
            f"its column is UTC_Time, its name says {told}",
            where=file,
            expected="times in UTC, or the column Time",
            next_step=f"{IN_UTC}; or, if its times are known to be in UTC, take {told} out of its name",
        )
    return ahead or timedelta(0)


def _offset(text: str) -> timedelta | None:
    """The offset that a name states after UTC, zero if it states none; None for what is no zone's."""
    if not text.strip():
        return timedelta(0)
    stated = _OFFSET.fullmatch(text.strip())
    if stated is None:
        return None
    sign, hours, minutes, part = stated.groups()
    offset = timedelta(hours=int(hours), minutes=_MINUTES.get(part, 0) if part else int(minutes or 0))
    offset = offset if sign == "+" else -offset
    return offset if ZONES[0] <= offset <= ZONES[1] else None


def _instant(text: str, ahead: timedelta) -> datetime:
    """When a row happened, in UTC; ValueError if that is no time, or far from any of the venue's. Some files tell two
    digits of the year."""
    year = "%Y" if text[4:5] == "-" else "%y"
    told = datetime.strptime(text, f"{year}-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    if told.year not in _YEARS:
        raise ValueError(text)
    return told - ahead


def _line(path: Path, number: int, row: Sequence[str], accounts: Mapping[str, str], ahead: timedelta) -> Line:
    def refuse(found: str, expected: str, next_step: str = "download the statement anew") -> NotAStatement:
        return NotAStatement(found, where=f"{path.name}, line {number}", expected=expected, next_step=next_step)

    if len(row) > len(HEADER):
        raise refuse(f"{len(row)} fields", f"{len(HEADER)}, and quotes around one that holds a comma")
    told = dict.fromkeys(HEADER, "") | {name: text.strip() for name, text in zip(HEADER, row, strict=False)}
    account = accounts.get(told["User_ID"])
    if account is None:
        known = ", ".join(sorted(accounts)) or "none is configured"
        raise refuse("a User_ID that no account has", known, "give the account its user_id in recon.yaml")
    try:
        at = _instant(told["UTC_Time"], ahead)
    except ValueError:
        raise refuse("the time is no instant", "[YY]YY-MM-DD HH:MM:SS, since the venue is there") from None
    if not told["Coin"] or not _AMOUNT.fullmatch(told["Change"]):
        raise refuse("Coin or Change cannot be read", "a code, and an amount with at most 18 decimals")
    try:
        amount = Decimal(told["Change"])
    except InvalidOperation:
        raise refuse("Change is no amount", "an amount with at most 18 decimals") from None
    wallet = _WALLETS.get(_plain(told["Account"]))
    what = " ".join(filter(None, (told["Operation"], told["Remark"])))
    return Line("statement", account, wallet, told["Coin"], amount, at, what, f"{path.name}, line {number}")


def unmatched(statement: Iterable[Line], api: Iterable[Line]) -> list[Line]:
    """What either side tells alone, in the order of time."""
    rows, flows = _in_order(statement), dict(enumerate(_in_order(api)))
    # Rows that no single flow meets go first: they need every part of their event, and one part may have the amount of
    # another row.
    alone = _by_sum(_alone(flows), flows)
    of_one = [row for row in rows if _meeting(alone, row, flows)]
    of_several = [row for row in rows if not _meeting(alone, row, flows)]
    left = _take(of_several, _events(flows), flows)
    left += _take(of_one, _alone(flows), flows)
    # Of an order with several fills, one row may tell the fee together with one of them: with what is left by now.
    left = _take(_in_order(left), _events(flows), flows)
    left = _take_tokens(left, flows)
    return sorted([*left, *flows.values()], key=lambda line: (line.at, line.account, line.asset, line.place))


def _in_order(lines: Iterable[Line]) -> list[Line]:
    """By time, without what changes nothing; what may be of any wallet after what is of one."""
    moved = (line for line in lines if line.amount != 0)
    return sorted(moved, key=lambda line: (line.wallet is None, line.at, line.place))


def _alone(flows: Mapping[int, Line]) -> list[Event]:
    """Each flow as an event of its own."""
    return [(number,) for number in flows]


def _events(flows: Mapping[int, Line]) -> list[Event]:
    """Flows of one wallet and coin that the API ties to each other, the closest ties first; cut where time passes, for
    what comes back later has a row of its own."""
    events: list[Event] = []
    for level in range(max((len(flow.ties) for flow in flows.values()), default=0)):
        tied: dict[tuple[str, str | None, str, str], list[int]] = defaultdict(list)
        for number, flow in flows.items():
            if level < len(flow.ties):
                tied[flow.account, flow.wallet, flow.asset, flow.ties[level]].append(number)
        events += [event for numbers in tied.values() for event in _cut(numbers, flows) if len(event) > 1]
    return list(dict.fromkeys(events))


def _cut(numbers: Sequence[int], flows: Mapping[int, Line]) -> Iterator[Event]:
    """Flows in the order of time, cut wherever the next is too late to be told in the same row."""
    start = 0
    for end in range(1, len(numbers) + 1):
        if end == len(numbers) or flows[numbers[end]].at - flows[numbers[end - 1]].at > NEAR:
            yield tuple(numbers[start:end])
            start = end


def _by_sum(events: Iterable[Event], flows: Mapping[int, Line]) -> dict[_Sum, list[_Dated]]:
    """The events by account, coin and amount, in the order of time."""
    by_sum: dict[_Sum, list[_Dated]] = defaultdict(list)
    for event in events:
        first, total = flows[event[0]], Decimal(0)
        for number in event:
            total = EXACT.add(total, flows[number].amount)
        by_sum[first.account, first.asset, total].append((first.at, event))
    for same in by_sum.values():
        same.sort(key=_first_instant)
    return by_sum


def _first_instant(dated: _Dated) -> datetime:
    return dated[0]


def _meeting(by_sum: Mapping[_Sum, list[_Dated]], row: Line, flows: Mapping[int, Line]) -> Event | None:
    """The first event of a row's coin and amount whose flows are all left, near, and of the same wallet. The first, not
    the nearest: what is later may be near to the next row too."""
    same = by_sum.get((row.account, row.asset, row.amount), [])
    near = same[
        bisect_left(same, row.at - NEAR, key=_first_instant) : bisect_right(same, row.at + NEAR, key=_first_instant)
    ]
    for _, event in near:
        if all(number in flows and _is_near(flows[number], row) for number in event):
            return event
    return None


def _is_near(flow: Line, row: Line) -> bool:
    return abs(flow.at - row.at) <= NEAR and _same_wallet(flow, row)


def _same_wallet(flow: Line, line: Line) -> bool:
    """An account of the statement that has no wallet here may be any."""
    return line.wallet is None or flow.wallet is None or flow.wallet.partition(":")[0] == line.wallet


def _take(rows: Iterable[Line], events: Iterable[Event], flows: dict[int, Line]) -> list[Line]:
    """The rows that no event meets; the flows of those that meet one are taken away, so that none counts twice."""
    by_sum, left = _by_sum(events, flows), []
    for row in rows:
        event = _meeting(by_sum, row, flows)
        if event is None:
            left.append(row)
            continue
        for number in event:
            del flows[number]
    return left


def _take_tokens(rows: Iterable[Line], flows: dict[int, Line]) -> list[Line]:
    """The rows that no flow meets as what they stand for either: a token in Spot, as LDUSDT, is what lies in Earn."""
    tokens = LdTokens(seen={flow.asset for flow in flows.values() if flow.wallet == _EARN}, listed=())
    left, held = [], list[tuple[Line, Line]]()
    for row in rows:
        if row.wallet == "SPOT" and tokens.takes_out(row.asset):
            asset = UNDERLYING.get(row.asset, row.asset.removeprefix("LD"))
            held.append((row, replace(row, wallet=_EARN, asset=asset)))
        else:
            left.append(row)
    # by identity: two rows may say the same, and one flow meets but one of them
    unmet = set(map(id, _take([as_held for _, as_held in held], _alone(flows), flows)))
    return [*left, *(row for row, as_held in held if id(as_held) in unmet)]


def flow_lines(rows: Iterable[Mapping[str, Any]]) -> Iterator[Line]:
    """Flows of the frames as lines, one for each row."""
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
            tuple(_ties(row)),
        )


def _ties(row: Mapping[str, Any]) -> Iterator[str]:
    """What ties a flow to others, the closest tie first: the leg's own id, for a record may have many legs; the order,
    for the fee of one may be told by another record; and the record."""
    parts = str(row["external_id"]).split(":")
    came_back = [parts.pop()] if parts[-1] == "reversal" else []
    if parts[-1] in _LEGS:
        parts.pop()
    yield " ".join(("leg", row["source"], ":".join(parts), *came_back))
    if row["agg_id"]:
        yield f"order {row['agg_id']}"
    yield f"record {row['raw_id']}"
