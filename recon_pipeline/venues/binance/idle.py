"""Days on which a sub-account traded nothing on the spot market, as the venue's statistics of its volume tell.

A main account may ask for the volume of each of the last thirty days of its sub-accounts. Where it is nothing no market
has to be asked for that day. It never stands against a residual: what is unexplained is asked for all the same.
Source: "Query Sub-account Transaction Statistics (For Master Account)".
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from recon_pipeline.stores.raw import RawStore, Told
from recon_pipeline.transport.errors import MalformedAnswer
from recon_pipeline.venues.binance.endpoints import SUB_STATISTICS
from recon_pipeline.venues.binance.pulling import Pull
from recon_pipeline.venues.streams import AccountFacts

STREAM = "sub_statistics"
_SPOT = ("btc", "busd")
_SETTLED = timedelta(days=2)
"""From the beginning of a day: when it has been over for a day, its volume is believed."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def ask_volumes(pull: Pull, facts: Mapping[str, AccountFacts], accounts: Iterable[str]) -> None:
    """Ask the main accounts for the volumes of these sub-accounts, once a day; what cannot be had is recorded."""
    now = pull.clock.now()
    asked_today = {row.call["email"] for row in pull.raw.records([STREAM]) if row.read_at.date() == now.date()}
    masters = [(facts[email].master, email) for email in accounts if email not in asked_today]
    wanted = [(master, email) for master, email in masters if master is not None and pull.has_key(master)]

    def ask(item: tuple[str, str]) -> None:
        master, email = item
        call = {"email": email}
        with pull.told_of(master, STREAM):
            answer = pull.ask_as(master)(SUB_STATISTICS, list(call.items()))
            try:
                rows = [row for row in answer.json["tradeInfoVos"] if _instant(row) + _SETTLED <= now]
                told = [Told(f"{email}:{_day(row)}", call, row, _instant(row), answer.response_id) for row in rows]
            except (LookupError, TypeError, ValueError, ArithmeticError):
                raise MalformedAnswer(
                    "the volumes of a sub-account cannot be read", venue=pull.venue, endpoint=str(SUB_STATISTICS),
                    account=master, expected="tradeInfoVos with a date each", response_id=answer.response_id,
                ) from None  # fmt: skip
            pull.raw.keep(master, STREAM, told, {}, now)

    pull.each(wanted, ask)


def idle_days(raw: RawStore) -> Mapping[str, set[date]]:
    """The days without any volume of the spot market, by account."""
    idle: dict[str, set[date]] = defaultdict(set)
    for row in raw.records([STREAM]):
        if all(_is_nothing(row.content.get(name)) for name in _SPOT):
            idle[row.call["email"]].add(_day(row.content))
    return idle


def _is_nothing(told: object) -> bool:
    """Whether a volume is told, and is nothing."""
    try:
        return told is not None and Decimal(str(told)) == 0
    except InvalidOperation:
        return False


def _instant(row: Mapping[str, Any]) -> datetime:
    return _EPOCH + timedelta(milliseconds=int(row["date"]))


def _day(row: Mapping[str, Any]) -> date:
    return _instant(row).date()
