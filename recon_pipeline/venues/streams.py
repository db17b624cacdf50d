"""What a stream of a venue's API is: a list that the venue keeps for an account, and how to read it without a hole."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Any, Literal, TypeAlias

from recon_pipeline.transport.endpoints import Endpoint

Role = Literal["flow", "detail", "snapshot", "capture", "reference"]
Call: TypeAlias = Mapping[str, str]
"""The parameters that give a record its meaning, beside the window and the page: type=MAIN_FUNDING, symbol=BTCUSDT."""
Content: TypeAlias = Mapping[str, Any]
"""A record as the wire had it, parsed: text, int, Decimal, bool, None, lists and objects of these. Never a float."""
EQUAL_ROWS = "equal:"
"""How a key begins that is made of a record's content, for want of an id: equal ones are then told apart by number."""

NEVER_USED = "never_used"
"""The extra that names the streams of what the user says that the account never had."""

_NAMING = ("symbol", "isolatedSymbol", "asset")


def named_in(call: Call) -> str | None:
    """The market or asset that a call is about; None for one that is about all of them."""
    return next((call[name] for name in _NAMING if name in call), None)


def part_of(stream: str, name: str) -> str:
    """How the ledger calls the part of a stream that is about one market or asset, where that is told apart."""
    return f"{stream}:{name}"


def name_in_part(told: str) -> tuple[str, str | None]:
    """The stream, and what the part is about; None for a whole stream."""
    stream, is_part, name = told.partition(":")
    return stream, name if is_part else None


@dataclass(frozen=True)
class AccountFacts:
    """What is known of an account before its streams are read: from recon.yaml and from the venue itself."""

    email: str
    master: str | None = None
    """The account that it is a sub-account of; None for a main account."""
    is_alone: bool = False
    """Whether that one is not asked, for recon.yaml does not name it any more."""
    subs: tuple[str, ...] = ()
    unlisted: frozenset[str] = frozenset()
    """Those of the sub-accounts that the newest list does not name any more."""
    unknown: frozenset[str] = frozenset()
    """Those of these by whose name the venue does not let the stream at hand be asked: nothing is read of them."""
    made: Mapping[str, date] = field(default_factory=dict)
    """On which day the venue says that a sub-account was made: it moved nothing before."""
    products: frozenset[str] = frozenset()
    """What the account has opened: spot, margin, futures, futures_coin, option, earn, portfolio_margin."""
    had: Mapping[str, Sequence[tuple[date, date]]] = field(default_factory=dict)
    """When it had products that it has left since: on which days the venue said first that each is opened, and that it
    is not. Until the latter it may have moved money."""
    default_wallet: str = "SPOT"
    """Where a flow belongs whose record states no wallet."""
    extras: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """What only the user knows, by name, such as isolated_symbols or mining_users."""
    gone: Mapping[str, date] = field(default_factory=dict)
    """The streams that the venue has removed, as the user says, and the first day on which it had each no more."""

    @property
    def asked_by(self) -> str | None:
        """The main account whose key is asked for what only such a one may ask of it; None where that is its own."""
        return None if self.is_alone else self.master

    def on(self, day: date, unopened: Collection[str]) -> AccountFacts:
        """The account with all that it may have had opened on a day, besides what it has. It may have had a product
        before the venue said so, but not one of `unopened`, of which the venue said on the day that it is not."""
        had = {
            product
            for product, stretches in self.had.items()
            for first, left in stretches
            if day < left and (day >= first - timedelta(days=1) or product not in unopened)
        }
        return replace(self, products=self.products | had) if had else self


@dataclass(frozen=True)
class Window:
    """How a stream is asked for a span of time, both ends inclusive unless the venue says otherwise."""

    start: str
    end: str
    longest: timedelta
    unit: Literal["ms", "s", "text"] = "ms"
    retention: timedelta | None = None
    """How far back the venue tells; None: everything."""
    is_end_exclusive: bool = False


@dataclass(frozen=True)
class Paging:
    """How the rest of a span is asked for when one answer does not hold it."""

    kind: Literal["none", "page", "offset", "from_id", "bisect"] = "none"
    size: int = 0
    """Records in a full answer."""
    size_param: str | None = None
    page_param: str | None = None
    """For page: counted from 1. For offset: records to skip. For from_id: the first id wanted, inclusive."""
    id_field: str = "id"
    """For from_id: the field of a record that holds its id."""
    is_size_certain: bool = True
    """Whether a page that holds fewer than `size` is the last one; else only an empty page says so."""


@dataclass(frozen=True)
class Stated:
    """What an envelope says of the whole list, beside the records that it holds."""

    total: int | None = None
    """How many records the list has, over all its pages."""
    has_more: bool = False
    """Whether there are more than the answer holds."""

    def says_more_than(self, told: int) -> bool:
        """Whether the list has more than so many records."""
        return self.has_more or (self.total is not None and self.total > told)


@dataclass(frozen=True)
class Stream:
    """One list that the venue keeps for an account."""

    name: str
    endpoint: Endpoint
    role: Role
    wallets: tuple[str, ...]
    """Families of wallets (the text before a colon) that it can move; none for what is not a flow."""
    calls: Callable[[AccountFacts], Sequence[Call]]
    """The parameter sets that make one complete read; none if the stream does not apply to the account."""
    window: Window | None
    paging: Paging
    rows: Callable[[Any], Sequence[Content]]
    """The records out of the envelope; raises UnexpectedAnswer."""
    key: Callable[[Call, Content], str]
    """Names a record among those of its account and stream."""
    instant: Callable[[Content], datetime | None]
    """The instant by which the venue filters it."""
    horizon_days: int
    lag_minutes: int = 0
    settles_within_days: int = 0
    """How long after the instant by which the venue files a record its money may move; 0: within the horizon."""
    stated: Callable[[Any], Stated] = lambda _: Stated()
    """What the envelope says of the whole list; nothing for a list that comes bare."""
    tells_last: int | None = None
    """The venue tells of its last so many records alone, whatever is asked; None: of all."""
    stated_instants: Callable[[Content], Sequence[datetime]] = lambda _: ()
    """Every instant that a record states."""
    is_pending: Callable[[Content], bool] = lambda _: False
    """Whether the record may still change: a deposit that is not credited, a withdrawal under way."""
    asked_with: Literal["own", "master"] = "own"
    """Whose key asks. What a master key is told covers the whole family."""
    product: str = "spot"
    known: frozenset[str] = frozenset()
    """The fields that the mapping knows; any other is reported."""
    is_verified: bool = False
    """Whether a documented sample of its shape exists."""
    needs: str | None = None
    """The setting of an account without which nobody knows what to ask for."""
    says: Callable[[Content], Any] | None = None
    """What two tellings of a record say alike if they are the same, where that is less than every word of them."""


@dataclass(frozen=True)
class RawRecord:
    """A record as the venue told it, in the version that counts.

    `digest` is sha256 over account, stream, key, call and content, the `raw_id` of the frames; `fid` the id of its row
    in recon.raw_records, stable over re-runs.
    """

    fid: int
    account: str
    stream: str
    key: str
    call: Call
    content: Content
    digest: str
    read_at: datetime
    before: Sequence[tuple[datetime, Content]] = ()
    """When the venue told it otherwise before, and how, oldest first; of records that have failed alone."""
