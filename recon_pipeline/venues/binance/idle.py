"""Days on which a sub-account traded nothing on the spot market, as the venue's statistics of its volume tell.

A main account may ask for the volume of each of the last thirty days of its sub-accounts. Where it is nothing no market
has to be asked for that day. It never stands against a residual: what is unexplained is asked for all the same.
Source: "Query Sub-account Transaction Statistics (For Master Account)".
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal, InvalidOperation

from recon_pipeline.stores.raw import RawStore, Told
from recon_pipeline.transport.errors import UnexpectedAnswer
from recon_pipeline.venues.answers import reading
from recon_pipeline.venues.binance.endpoints import SUB_STATISTICS
from recon_pipeline.venues.binance.session import AccountStopped, Session
from recon_pipeline.venues.binance.streams.shapes import instant_of, under
from recon_pipeline.venues.pull import midnight
from recon_pipeline.venues.streams import AccountFacts, Content

STREAM = "sub_statistics"
_SPOT = ("btc", "busd")
_SETTLED = timedelta(days=2)
"""From the beginning of a day: when it has been over for a day, its volume is believed."""
_ROWS = under("tradeInfoVos")


def ask_volumes(session: Session, facts: Mapping[str, AccountFacts], accounts: Iterable[str]) -> set[str]:
    """Ask the main accounts for the volumes of these sub-accounts, once a day; what cannot be had is recorded. Returns
    the main accounts whose key is refused meanwhile."""
    now = session.clock.now()
    asked_today = {row.call["email"] for row in session.raw.records([STREAM]) if row.read_at.date() == now.date()}
    masters = [(facts[email].master, email) for email in accounts if email not in asked_today]
    wanted = [(master, email) for master, email in masters if master is not None and session.has_key(master)]

    stopped: set[str] = set()

    def ask(item: tuple[str, str]) -> None:
        if item[0] not in stopped:
            try:
                ask_of(*item)
            except AccountStopped:
                stopped.add(item[0])

    def ask_of(master: str, email: str) -> None:
        call = {"email": email}
        with session.told_of(master, STREAM, can_stop=True):
            answer = session.ask_as(master)(SUB_STATISTICS, list(call.items()))
            with reading(SUB_STATISTICS, answer.response_id):
                days = [(_begins(row), row) for row in _ROWS(answer.json)]
            told = [
                Told(f"{email}:{begins.date()}", call, row, begins, answer.response_id)
                for begins, row in days
                if begins + _SETTLED <= now
            ]
            session.raw.keep(master, STREAM, told, {}, now)

    session.each(wanted, ask)
    return stopped


def idle_days(raw: RawStore) -> Mapping[str, set[date]]:
    """The days without any volume of the spot market, by account. A volume that was told in two ways is none."""
    idle: dict[str, set[date]] = defaultdict(set)
    for row in raw.records([STREAM]):
        is_idle = not row.is_doubted and all(_is_nothing(row.content.get(name)) for name in _SPOT)
        # a volume that does not begin with a UTC day is not that of one
        if is_idle and row.instant is not None and row.instant == midnight(row.instant.date()):
            idle[row.call["email"]].add(row.instant.date())
    return idle


def _is_nothing(told: object) -> bool:
    """Whether a volume is told, and is nothing."""
    try:
        return told is not None and Decimal(str(told)) == 0
    except InvalidOperation:
        return False


def _begins(row: Content) -> datetime:
    """The day of a volume."""
    if (begins := instant_of(row.get("date"))) is None:
        raise UnexpectedAnswer("a volume has no date", expected="a date with every volume")
    return begins
