"""What the entries of the table are made of: envelopes, keys, instants, spans, pages and calls."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Literal

from recon_pipeline.transport.endpoints import Endpoint
from recon_pipeline.transport.errors import UnexpectedAnswer
from recon_pipeline.venues.binance.dialect import SUCCESS_CODES
from recon_pipeline.venues.streams import (
    EQUAL_ROWS,
    AccountFacts,
    Call,
    Content,
    Paging,
    Role,
    Stated,
    Stream,
    Window,
)

Rows = Callable[[Any], Sequence[Content]]
Key = Callable[[Call, Content], str]
Instant = Callable[[Content], datetime | None]
Calls = Callable[[AccountFacts], Sequence[Call]]
Pending = Callable[[Content], bool]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DECIMALS = re.compile(r"-?[0-9]+\.[0-9]+")
_DIGITS_MAX = 20
"""No instant and no count is told with more."""


# --- envelopes --------------------------------------------------------------------------------------------------------


def _unexpected(found: str, expected: str) -> UnexpectedAnswer:
    return UnexpectedAnswer(found, expected=expected)


def refuse_failure(answer: Any) -> None:
    """Raises UnexpectedAnswer for an error that came with status 200: a code of its own, or success false."""
    if not isinstance(answer, Mapping):
        return
    code = answer.get("code", 0)
    if answer.get("success") is False or str(code) not in SUCCESS_CODES:
        raise _unexpected(f"the body states the error {code!r}", "a body that states success")


def _records(found: Any, where: str) -> Sequence[Content]:
    if not isinstance(found, list) or not all(isinstance(row, Mapping) for row in found):
        raise _unexpected(f"{where} is not a list of records", "a JSON list of objects")
    return found


def bare(answer: Any) -> Sequence[Content]:
    """The answer is the list itself."""
    refuse_failure(answer)
    return _records(answer, "the body")


@dataclass(frozen=True)
class Under:
    """Reads a list that stands under names, and what stands beside it of how long it is."""

    path: tuple[str, ...]
    may_be_absent: bool

    def __call__(self, answer: Any) -> Sequence[Content]:
        """The records."""
        refuse_failure(answer)
        found = answer
        for name in self.path:
            if not isinstance(found, Mapping):
                raise _unexpected(f"{name} stands in no object", "an object with " + ".".join(self.path))
            if self.may_be_absent and name == self.path[-1] and found.get(name) is None:
                return ()
            if name not in found:
                raise _unexpected(f"{name} is missing", "an object with " + ".".join(self.path))
            found = found[name]
        return _records(found, ".".join(self.path))

    def stated(self, answer: Any) -> Stated:
        """What the envelope says of the whole list, as a number or as text; UnexpectedAnswer for what is neither."""
        beside = answer
        for name in self.path[:-1]:
            beside = beside.get(name) if isinstance(beside, Mapping) else None
        if not isinstance(beside, Mapping):
            return Stated()
        totals = [_count(name, beside[name]) for name in _TOTALS if beside.get(name) not in (None, "")]
        return Stated(max(totals, default=None), any(tuple(_flag(name, beside.get(name)) for name in _MORE)))


def _count(name: str, value: Any) -> int:
    try:
        number = Decimal(str(value)) if isinstance(value, int | Decimal | str) else Decimal("NaN")
        # before it becomes an int: writing out the zeros of 1e1000000 takes for ever
        is_of_size = number.is_finite() and number.adjusted() < _DIGITS_MAX
        if not isinstance(value, bool) and is_of_size and number == number.to_integral_value():
            return int(number)
    except ArithmeticError:
        pass
    raise _unexpected(f"{name} is no count", f"{name} as a whole number")


def _flag(name: str, value: Any) -> bool:
    told = _FLAGS.get(str(value).lower())
    if told is None:
        raise _unexpected(f"{name} is neither true nor false", f"{name} as true or false")
    return told


_FLAGS = {"true": True, "1": True, "false": False, "0": False, "none": False, "": False}
_TOTALS = ("total", "totalCount", "totalRecords", "totalNum", "count")
_MORE = ("moreData", "hasMore")


def under(*path: str, may_be_absent: bool = False) -> Under:
    """The list stands under these names. `may_be_absent`: the venue leaves the last name out when there is nothing."""
    return Under(path, may_be_absent)


def whole(answer: Any) -> Sequence[Content]:
    """The answer is one record."""
    refuse_failure(answer)
    if not isinstance(answer, Mapping):
        raise _unexpected("the body is no object", "a JSON object")
    return (answer,)


# --- keys and instants ------------------------------------------------------------------------------------------------


def _told(value: Any) -> str:
    return str(value) if isinstance(value, Decimal) else f"{type(value).__name__}:{value}"


def content_key(call: Call, content: Content) -> str:
    """For a record without an id: the digest of what it says. Equal records of one read are told apart by number."""
    said = [dict(call), {name: plain(value) for name, value in content.items()}]
    told = json.dumps(said, sort_keys=True, separators=(",", ":"), default=_told)
    return EQUAL_ROWS + hashlib.sha256(told.encode()).hexdigest()[:32]


def plain(value: Any) -> Any:
    """An amount without the zeros that say nothing: 0.10 is 0.1; anything else as it is."""
    text = str(value) if isinstance(value, Decimal) else value
    if not isinstance(text, str) or not _DECIMALS.fullmatch(text):
        return value
    told = text.rstrip("0").rstrip(".")
    return Decimal(told) if isinstance(value, Decimal) else told


def is_id(value: Any) -> bool:
    """Whether a value can name a record: text that is not blank, or a whole number."""
    return (isinstance(value, int) and not isinstance(value, bool)) or (isinstance(value, str) and value.strip() != "")


def by(*names: str, or_blank: str | None = None) -> Key:
    """The fields that name the record, joined by a colon; its digest if one of them is not there.

    `or_blank` is one more field, which may be blank.
    """

    def key(call: Call, content: Content) -> str:
        values = [plain(content.get(name, call.get(name))) for name in names]
        if not all(is_id(value) for value in values):
            return content_key(call, content)
        last = [] if or_blank is None else [content.get(or_blank, call.get(or_blank)) or ""]
        return ":".join(str(value) for value in [*values, *last])

    return key


def by_content(*names: str) -> Key:
    """For a record without an id that may still change: what it says and will always say, which others may say too."""
    named = by(*names)

    def key(call: Call, content: Content) -> str:
        name = named(call, content)
        return name if name.startswith(EQUAL_ROWS) else EQUAL_ROWS + name

    return key


def instant_of(value: Any) -> datetime | None:
    """An instant in seconds, milliseconds or microseconds by its magnitude, or UTC text; None for anything else."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, str):
        if not value.isascii() or not value.isdigit():
            return _instant_of_text(value)
        value = int(value) if len(value) <= _DIGITS_MAX else None
    if not isinstance(value, int) or not 0 < value < 10**17:
        return None
    microseconds = value * 1_000_000 if value < 10**11 else value * 1_000 if value < 10**14 else value
    return _EPOCH + timedelta(microseconds=microseconds)


def _instant_of_text(value: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(value.strip())
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def at(*names: str) -> Instant:
    """The first of the fields that states an instant."""

    def instant(content: Content) -> datetime | None:
        return next((moment for name in names if (moment := instant_of(content.get(name))) is not None), None)

    return instant


_NAMES_OF_INSTANTS = ("time", "date", "stamp")


def stated_instants(content: Content) -> Sequence[datetime]:
    """Every instant that a record states, by the names of its fields."""
    told = [
        instant_of(value)
        for name, value in content.items()
        if name.endswith("At") or any(word in name.casefold() for word in _NAMES_OF_INSTANTS)
    ]
    return [moment for moment in told if moment is not None]


# --- spans and pages --------------------------------------------------------------------------------------------------


def span(
    days: float,
    *,
    reach: float | None = None,
    names: tuple[str, str] = ("startTime", "endTime"),
    below: bool = False,
    is_end_exclusive: bool = False,
    unit: Literal["ms", "s", "text"] = "ms",
) -> Window:
    """At most so many days at once (`below`: less than that), and how many days back the venue tells."""
    longest = timedelta(days=days) - timedelta(milliseconds=1 if below else 0)
    retention = None if reach is None else timedelta(days=reach)
    return Window(*names, longest, unit, retention, is_end_exclusive)


def pages(size: int, page: str = "current", size_param: str | None = "size", *, is_size_certain: bool = True) -> Paging:
    """Pages counted from 1."""
    return Paging("page", size, size_param, page, is_size_certain=is_size_certain)


def halves(size: int, size_param: str | None = "limit") -> Paging:
    """No cursor: a full answer is asked for again in halves of its span."""
    return Paging("bisect", size, size_param)


ALL_AT_ONCE = Paging()

# --- calls ------------------------------------------------------------------------------------------------------------


def never(_: Content) -> bool:
    """No record of the stream changes later."""
    return False


def while_in(name: str, *values: str | int) -> Pending:
    """The record may still change while the field has one of the values, compared without regard to case."""
    pending = {str(value).casefold() for value in values}
    return lambda content: str(content.get(name)).casefold() in pending


is_transfer_under_way = while_in("status", "PENDING", "PROCESS")
"""An own transfer that is not done yet, whichever stream tells of it."""


def once(product: str, *calls: Call) -> Calls:
    """The same calls for every account that has opened the product; one without parameters if none is given."""
    made = calls or ({},)
    return lambda facts: made if product in facts.products else ()


def for_each(extra: str, name: str, product: str) -> Calls:
    """One call for each of the values that recon.yaml or a capture states, such as the symbols of isolated margin."""
    return lambda facts: [{name: value} for value in facts.extras.get(extra, ())] if product in facts.products else []


def details_of(product: str, **others: str) -> Calls:
    """One call for each symbol that recon.yaml or a ledger names for the product, as `futures:BTCUSDT`."""

    def calls(facts: AccountFacts) -> Sequence[Call]:
        if product not in facts.products:
            return ()
        named = [name.partition(":") for name in facts.extras.get("detail_symbols", ())]
        return [{"symbol": symbol, **others} for of_product, _, symbol in named if of_product == product]

    return calls


def as_asked(_: AccountFacts) -> Sequence[Call]:
    """The calls come from discovery, a symbol at a time."""
    return ()


def stream(
    name: str,
    endpoint: Endpoint,
    role: Role,
    wallets: str,
    known: str,
    *,
    rows: Rows,
    key: Key,
    instant: Instant,
    product: str = "spot",
    calls: Calls | None = None,
    window: Window | None = None,
    paging: Paging = ALL_AT_ONCE,
    horizon: int = 14,
    lag: int = 60,
    settles: int = 0,
    pending: Pending = never,
    last: int | None = None,
    by_master: bool = False,
    is_verified: bool = True,
    needs: str | None = None,
    says: Callable[[Content], Any] | None = None,
) -> Stream:
    """One entry. `wallets` and `known` are names with blanks between them."""
    fields = frozenset(known.split())

    def by_known(call: Call, content: Content) -> str:
        # a field that the venue adds is no reason to name what it has told before anew
        return content_key(call, {name: value for name, value in content.items() if name in fields})

    return Stream(
        name=name,
        endpoint=endpoint,
        role=role,
        wallets=tuple(wallets.split()),
        calls=calls or once(product),
        window=window,
        paging=paging,
        rows=rows,
        key=by_known if key is content_key else key,
        instant=instant,
        horizon_days=horizon,
        lag_minutes=lag,
        settles_within_days=settles,
        # of a list that tells its last records alone, the total counts those that are not told any more
        stated=rows.stated if isinstance(rows, Under) and last is None else lambda _: Stated(),
        tells_last=last,
        stated_instants=stated_instants,
        is_pending=pending,
        asked_with="master" if by_master else "own",
        product=product,
        known=fields,
        is_verified=is_verified,
        needs=needs,
        says=says,
    )
