"""Moves between our own accounts and wallets, told by up to five streams and booked once.

A transfer between two accounts is told by the master's universal history, by the sub-account's own, and by the older
history of the master; one within an account by its wallet transfers, and by the universal history if the master made
it. Of each transfer the first of these counts. What touches a wallet with a ledger of its own (margin, futures,
options) is booked by that ledger alone.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from fnmatch import fnmatchcase
from typing import TypeAlias

from recon_pipeline.api_settings import EMAILS
from recon_pipeline.frames.registry import UNKNOWN
from recon_pipeline.venues.binance.mapping import cells
from recon_pipeline.venues.binance.mapping.book import Book, instant_told, is_under_way
from recon_pipeline.venues.binance.mapping.cells import Malformed
from recon_pipeline.venues.binance.mapping.model import MappingContext, Problem
from recon_pipeline.venues.binance.streams import BY_NAME
from recon_pipeline.venues.streams import RawRecord

BETWEEN_ACCOUNTS = "sub_account_transfers"
WITHIN_ACCOUNT = "wallet_transfers"
OF_MARGIN = "margin_transfers"
OF_SPOT = "sub_transfers"
WITH_LEDGER = frozenset({"MARGIN", "ISOLATED_MARGIN", "FUTURES", "FUTURES_COIN", "OPTION"})
"""Families of wallets whose own ledger tells of every change."""

WALLET_BY_CODE = {
    "MAIN": "SPOT",
    "SPOT": "SPOT",
    "FUNDING": "FUNDING",
    "C2C": "FUNDING",
    "PAY": "FUNDING",
    "UMFUTURE": "FUTURES",
    "USDT_FUTURE": "FUTURES",
    "CMFUTURE": "FUTURES_COIN",
    "COIN_FUTURE": "FUTURES_COIN",
    "MARGIN": "MARGIN",
    "CROSS_MARGIN": "MARGIN",
    "ISOLATEDMARGIN": "ISOLATED_MARGIN",
    "ISOLATED_MARGIN": "ISOLATED_MARGIN",
    "OPTION": "OPTION",
    "PORTFOLIO_MARGIN": "PORTFOLIO_MARGIN",
    "MINING": "MINING",
    "ALPHA": "ALPHA",
}
"""Our name for each end of a transfer, by the venue's code in the types and account types of transfers."""

_DONE = frozenset({"CONFIRMED", "SUCCESS"})
_FAILED = frozenset({"FAILED", "FAIL", "FAILURE"})


_NUMBERED_ALIKE = frozenset({"universal_transfers", "sub_user_transfers"})


@dataclass(frozen=True)
class End:
    """One side of a move. The wallet is None if the venue's code for it is not known."""

    account: str | None
    wallet: str | None
    told: str
    """As the venue names it."""


@dataclass(frozen=True)
class Move:
    """One transfer, as one record tells of it."""

    record: RawRecord
    name: str
    asset: str
    amount: str
    at: datetime
    source: End
    target: End
    is_known: bool
    """Whether its status is one that the mapping knows."""
    has_failed: bool
    """Whether nothing moved, by what the record says."""


_Look: TypeAlias = tuple[str | Decimal | datetime | None, ...]


def codes_of_type(told: str) -> tuple[str, str] | None:
    """The two ends of a type such as MAIN_UMFUTURE or PORTFOLIO_MARGIN_MAIN; None if it is not known."""
    for code in WALLET_BY_CODE:
        rest = told.removeprefix(f"{code}_")
        if rest != told and rest in WALLET_BY_CODE:
            return code, rest
    return None


class _Family:
    """E-mails as we write them: the venue may write them in another case, masked, or say master."""

    def __init__(self, context: MappingContext) -> None:
        self._accounts = context.accounts
        became = ((name, email) for name, of in self._accounts.items() for email in of.extras.get(EMAILS, ()))
        self._by_folded = {email.casefold(): name for name, email in became}
        self._by_folded |= {email.casefold(): email for email in self._accounts}

    def email(self, told: str | None, asked: RawRecord, besides: Collection[str | None] = ()) -> str | None:
        """Our e-mail for the one in the record; one that is not ours as it stands. None if it is masked and could be
        that of none of ours, or of several, `besides` left out."""
        if told is None:
            return None
        text = told.strip().casefold()
        if text == "master":
            facts = self._accounts.get(asked.account)
            return (facts.master if facts else None) or told
        if "*" not in text:
            return self._by_folded.get(text, told)
        ours = ((lower, email) for lower, email in self._by_folded.items() if email not in besides)
        fitting = {email for lower, email in ours if fnmatchcase(lower, text)}
        return fitting.pop() if len(fitting) == 1 else None

    def master_of(self, account: str) -> list[str]:
        """The account's master, if it is known."""
        facts = self._accounts.get(account)
        return [facts.master] if facts is not None and facts.master is not None else []


def _end(account: str | None, code: str, symbol: str | None) -> End:
    wallet = WALLET_BY_CODE.get(code)
    if wallet == "ISOLATED_MARGIN" and symbol:
        wallet = f"{wallet}:{symbol}"
    return End(account, wallet, code)


def _status(record: RawRecord) -> str:
    """The status of a transfer. None at all means that it is done."""
    return str(record.content.get("status", "SUCCESS")).upper()


# --- one record at a time ---------------------------------------------------------------------------------------------


def _named(record: RawRecord, field: str, asked: str, family: _Family) -> str | None:
    """The account in a field; where that is masked, the one that was asked for."""
    return family.email(cells.name_of(record.content, field), record) or family.email(record.call.get(asked), record)


def _universal(record: RawRecord, family: _Family) -> tuple[End, End]:
    content = record.content
    sender, receiver = (_named(record, field, field, family) for field in ("fromEmail", "toEmail"))
    return (
        _end(sender, cells.name_of(content, "fromAccountType"), cells.note(content, "fromSymbol")),
        _end(receiver, cells.name_of(content, "toAccountType"), cells.note(content, "toSymbol")),
    )


def _sub_user(record: RawRecord, family: _Family) -> tuple[End, End]:
    content = record.content
    is_master = str(content.get("counterParty")).lower() == "master"
    besides = [record.account]
    if str(content.get("counterParty")).lower() in ("sub", "subaccount"):
        besides += family.master_of(record.account)
    other = family.email("master" if is_master else cells.note(content, "email"), record, besides)
    if other == "master":  # The account's master is not configured: then what the venue writes.
        other = family.email(cells.note(content, "email"), record, besides)
    kind = cells.name_of(content, "type")
    if kind not in {"1", "2"}:
        raise Malformed(f"type is {kind}, 1 or 2 is expected")
    sender, receiver = (other, record.account) if kind == "1" else (record.account, other)
    codes = [cells.note(content, name) or "SPOT" for name in ("fromAccountType", "toAccountType")]
    return _end(sender, codes[0], None), _end(receiver, codes[1], None)


def _sub(record: RawRecord, family: _Family) -> tuple[End, End]:
    sender, receiver = (_named(record, field, f"{field}Email", family) for field in ("from", "to"))
    return _end(sender, "SPOT", None), _end(receiver, "SPOT", None)


def _wallet(record: RawRecord, _: _Family) -> tuple[End, End]:
    content = record.content
    told = cells.note(content, "type") or record.call.get("type", "")
    codes = codes_of_type(told)
    if codes is None:
        codes = _half_known(told)
    symbols = [cells.note(content, name) or record.call.get(name) for name in ("fromSymbol", "toSymbol")]
    return _end(record.account, codes[0], symbols[0]), _end(record.account, codes[1], symbols[1])


def _half_known(told: str) -> tuple[str, str]:
    """The ends of a type that is not known as a whole: SPOT's, where the type names it."""
    if told.startswith("MAIN_"):
        return "MAIN", told.removeprefix("MAIN_")
    if told.endswith("_MAIN"):
        return told.removesuffix("_MAIN"), "MAIN"
    return told, told


def _isolated(record: RawRecord, _: _Family) -> tuple[End, End]:
    content = record.content
    codes = [cells.name_of(content, name).upper() for name in ("transFrom", "transTo")]
    symbols = [cells.note(content, name) for name in ("fromSymbol", "toSymbol")]
    return _end(record.account, codes[0], symbols[0]), _end(record.account, codes[1], symbols[1])


@dataclass(frozen=True)
class _Source:
    ends: Callable[[RawRecord, _Family], tuple[End, End]]
    name: str = "tranId"
    amount: str = "amount"
    at: str = "time"


SOURCES: Mapping[str, _Source] = {
    "universal_transfers": _Source(_universal, at="createTimeStamp"),
    "sub_user_transfers": _Source(_sub_user, amount="qty"),
    "sub_transfers": _Source(_sub, amount="qty"),
    "managed_transfers": _Source(_universal, at="createTime"),
    "managed_trader_transfers": _Source(_universal, at="createTime"),
    "managed_own_transfers": _Source(_universal, at="createTime"),
    "wallet_transfers": _Source(_wallet, at="timestamp"),
    OF_MARGIN: _Source(_isolated, name="txId", at="timestamp"),
}
"""The streams that tell of own transfers; of one transfer the first of these counts."""


def _is_told_here(record: RawRecord) -> bool:
    """Of the margin transfers only those between SPOT or FUNDING and isolated margin, which no other stream tells of
    unless a main account made them, and those with an end that is not known: they may be such, unless the other end is
    cross margin. To the question for cross margin the venue also tells of transfers without naming an end: they are
    cross margin's."""
    if record.stream != OF_MARGIN:
        return True
    told = [record.content.get(name) for name in ("transFrom", "transTo")]
    ends = {WALLET_BY_CODE.get(str(name).upper()) for name in told}
    if "MARGIN" in ends or ("isolatedSymbol" not in record.call and all(name in (None, "") for name in told)):
        return False
    return None in ends or ("ISOLATED_MARGIN" in ends and bool(ends & {"SPOT", "FUNDING"}))


# --- all of them ------------------------------------------------------------------------------------------------------


def map_own_transfers(book: Book, records: Mapping[str, Sequence[RawRecord]]) -> None:
    """Every own transfer once, with a row for each wallet that has no ledger of its own."""
    family = _Family(book.context)
    told: dict[tuple[str, str, str], list[Move]] = {}
    for stream, source in SOURCES.items():
        for record in records.get(stream, ()):
            if not record.content.keys() <= BY_NAME[stream].known:
                book.note_fields(record, BY_NAME[stream].known)
            move = _read(book, record, source, family) if _is_told_here(record) else None
            if move is not None:
                if stream == OF_SPOT and book.context.assumes("sub_transfer_ids", "own"):
                    move = replace(move, name=f"spot:{move.name}")
                told.setdefault(_identity(move), []).append(move)
    if book.context.assumes("sub_transfer_ids", "own"):
        _pair_by_content(told)
    _leave_out_told_elsewhere(told)
    for _, moves in sorted(told.items()):
        if done := _done(book, moves):
            _book(book, _agreed(book, done))


def _pair_by_content(told: dict[tuple[str, str, str], list[Move]]) -> None:
    """Puts what the master's older history tells beside the move of another number that looks just like it. One to one:
    of two moves that are equal in everything each keeps its own."""
    alike: dict[_Look, list[tuple[str, str, str]]] = {}
    for identity, moves in sorted(told.items()):
        for look in dict.fromkeys(_look(move) for move in moves if move.record.stream in _NUMBERED_ALIKE):
            alike.setdefault(look, []).append(identity)
    taken = set()
    for identity, moves in sorted(told.items()):
        if moves[0].record.stream == OF_SPOT:
            free = (other for other in alike.get(_look(moves[0]), ()) if other not in taken)
            if (pair := next(free, None)) is not None:
                taken.add(pair)
                told[pair] += told.pop(identity)


def _leave_out_told_elsewhere(told: dict[tuple[str, str, str], list[Move]]) -> None:
    """Leaves out the margin transfers of what other histories tell of isolated margin too: those of a main account name
    both accounts, and of an end that lies in the main account this list may say SPOT. By the number, or by what moved
    within a second; one to one."""
    elsewhere: dict[_Seen, list[tuple[str, str, str]]] = {}
    for identity, (first, *_) in told.items():
        for seen in _seen_in_isolated(first) if identity[0] != OF_MARGIN and not first.has_failed else ():
            elsewhere.setdefault(seen, []).append(identity)
    pairs = [
        (_distance(first, told[other][0]), identity, other)
        for identity, (first, *_) in told.items()
        if identity[0] == OF_MARGIN and not first.has_failed
        for seen in _seen_in_isolated(first)
        for other in elsewhere.get(seen, ())
        if _is_one(first, told[other][0])
    ]
    taken: set[tuple[str, str, str]] = set()
    for _, identity, other in sorted(pairs):
        if identity in told and other not in taken:
            taken.add(other)
            del told[identity]


_Seen: TypeAlias = tuple[str | None, bool, str, Decimal]


def _seen_in_isolated(move: Move) -> Sequence[_Seen]:
    """What the isolated margin of an account sees of a move from or to something else than margin of its own: whose it
    is, whether it comes in, what and how much."""
    ends = ((move.source, move.target, False), (move.target, move.source, True))
    return [
        (end.account, is_in, move.asset, Decimal(move.amount))
        for end, other, is_in in ends
        if _family(end) == "ISOLATED_MARGIN"
        and not (other.account == end.account and _family(other) in ("MARGIN", "ISOLATED_MARGIN"))
    ]


def _family(end: End) -> str:
    return (end.wallet or "").partition(":")[0]


def _is_one(move: Move, other: Move) -> bool:
    return move.name == other.name or abs(move.at - other.at) < timedelta(seconds=1)


def _distance(move: Move, other: Move) -> tuple[bool, bool, timedelta]:
    """How little a margin transfer has in common with a move; its instant may be a whole second, cut off."""
    return move.name != other.name, other.at < move.at, abs(move.at - other.at)


def _look(move: Move) -> _Look:
    """What two histories say of one move, whatever number they give it."""
    ends = (move.source.account, move.source.wallet, move.target.account, move.target.wallet)
    return move.asset, Decimal(move.amount), move.at, *ends


def _identity(move: Move) -> tuple[str, str, str]:
    """The ids of the margin transfers are numbers of their own."""
    if move.record.stream == OF_MARGIN:
        return (OF_MARGIN, move.record.account, move.name)
    if move.source.account is not None and move.source.account == move.target.account:
        return (WITHIN_ACCOUNT, str(move.source.account), move.name)
    return (BETWEEN_ACCOUNTS, "", move.name)


def _read(book: Book, record: RawRecord, source: _Source, family: _Family) -> Move | None:
    content, status = record.content, _status(record)
    if is_under_way(record):
        return None
    try:
        ends = source.ends(record, family)
        move = Move(
            record,
            cells.name_of(content, source.name),
            cells.name_of(content, "asset"),
            cells.size(cells.amount(content, source.amount)),
            cells.moment(content, source.at),
            *ends,
            is_known=status in _DONE | _FAILED,
            has_failed=status in _FAILED,
        )
    except Malformed as malformed:
        if status in _FAILED:
            return None
        place = ("transfers", None, cells.note(content, "asset"))
        for account in accounts_of(record, book.context):
            book.quarantine(record, str(malformed), [place], instant_told(record), account=account)
        return None
    for end in ends:
        if end.wallet is None and not move.has_failed:
            book.tell("unknown_value", record, f"the wallet {end.told or 'without a name'} is not known")
    if not move.is_known:
        book.tell("unknown_value", record, f"status {content.get('status')} is not known")
    return move


def accounts_of(record: RawRecord, context: MappingContext) -> Sequence[str]:
    """Our accounts that a record which cannot be believed names; the one that asked if it names none."""
    family = _Family(context)
    named = [record.content.get(name) for name in ("fromEmail", "toEmail", "from", "to")]
    emails = [family.email(name, record) for name in named if isinstance(name, str)]
    ours = [email for email in emails if email in context.accounts]
    return [str(email) for email in dict.fromkeys(ours)] or [record.account]


def _done(book: Book, moves: Sequence[Move]) -> Sequence[Move]:
    """Those that say that it was done; none where the first says that it failed. Both is a conflict."""
    first = moves[0]
    other = next((move for move in moves if move.has_failed != first.has_failed), None)
    if other is not None:
        _conflict(book, first, other, "status")
    return [] if first.has_failed else [move for move in moves if not move.has_failed]


def _agreed(book: Book, moves: Sequence[Move]) -> Move:
    """The first that tells, with an account from a later one where it names none; another asset, amount or account in
    a later one is a conflict."""
    first = moves[0]
    for other in moves[1:]:
        differences = [
            name
            for name, one, two in (
                ("asset", first.asset, other.asset),
                ("amount", Decimal(first.amount), Decimal(other.amount)),
                ("sender", first.source.account, other.source.account),
                ("receiver", first.target.account, other.target.account),
            )
            if one != two and one is not None and two is not None
        ]
        if differences:
            _conflict(book, first, other, ", ".join(differences))
        source, target = (
            replace(one, account=one.account or two.account)
            for one, two in ((first.source, other.source), (first.target, other.target))
        )
        first = replace(first, source=source, target=target)
    for end in (first.source, first.target):
        if end.account is None:
            book.tell("unknown_value", first.record, "the account on one side is named by none of the records")
    return first


def _conflict(book: Book, first: Move, other: Move, what: str) -> None:
    """Told for each position that the transfer may have moved, for its windows cannot be believed."""
    told = json.dumps(dict(other.record.content), default=str, ensure_ascii=False, sort_keys=True)
    text = f"another {what} than {first.record.stream} tells; that one counts"
    ends = [(end, move.asset) for move in (first, other) for end in (move.source, move.target)]
    places = {(end.account, end.wallet, asset): None for end, asset in ends if _is_booked_here(book, end)}
    for account, wallet, asset in places:
        record = other.record
        book.mapped.problems.append(
            Problem(
                "conflict",
                str(account),
                record.stream,
                record.key,
                text,
                record.digest,
                frame="transfers",
                wallet=wallet,
                asset=asset,
                instant=first.at,
                content=told,
            )
        )


def _is_booked_here(book: Book, end: End) -> bool:
    """Whether the leg is ours to book: of an account and a wallet that are read, and of no ledger of its own."""
    if end.account is None or end.wallet is None or end.wallet.partition(":")[0] in WITH_LEDGER:
        return False
    return book.context.has_wallet(end.account, end.wallet)


def _book(book: Book, move: Move) -> None:
    is_within = move.source.account == move.target.account
    for leg, end, other, amount, subtype in (
        ("out", move.source, move.target, cells.negative(move.amount), "internal_out"),
        ("in", move.target, move.source, move.amount, "internal_in"),
    ):
        if not _is_booked_here(book, end):
            continue
        is_known = move.is_known and (other.wallet is not None or not is_within)
        book.transfer(
            move.record,
            f"{move.name}:{leg}",
            account=end.account or "",
            source=_source(move, is_within=is_within),
            wallet=end.wallet or "",
            asset=move.asset,
            amount=amount,
            at=move.at,
            subtype=subtype if is_known else UNKNOWN,
            counter_party=_other_side(other, is_within=is_within),
            txn_hash=move.name,
        )


def _source(move: Move, *, is_within: bool) -> str:
    if move.record.stream == OF_MARGIN:
        return OF_MARGIN
    return WITHIN_ACCOUNT if is_within else BETWEEN_ACCOUNTS


def _other_side(other: End, *, is_within: bool) -> str:
    wallet = other.wallet or other.told
    return wallet if is_within or other.account is None else f"{other.account}/{wallet}"
