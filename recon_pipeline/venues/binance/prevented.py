"""Self-trades that became transfers: found by the orders that were in them, whatever became of those orders since.

The smaller order of the two ends as EXPIRED_IN_MATCH. The larger one rests on, and may be filled or cancelled days
later; and the one that was met had been placed before, it may be long before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any

from recon_pipeline.stores.raw import Told
from recon_pipeline.venues.answers import reading, told_by
from recon_pipeline.venues.binance import endpoints as e
from recon_pipeline.venues.binance.discovery import Market
from recon_pipeline.venues.binance.session import Session
from recon_pipeline.venues.binance.streams import BY_NAME
from recon_pipeline.venues.drain import ONE_MS, Ask, Drain, PageRepeated
from recon_pipeline.venues.pull import ONE_DAY, midnight
from recon_pipeline.venues.streams import Content, Stream

ORDERS = BY_NAME["spot_orders"]
PREVENTED = BY_NAME["prevented_matches"]
_SIDES = ("takerOrderId", "makerOrderId")


@dataclass
class OrderSearch:
    """The orders of an account in a market that were in a prevented match, as far as the days may rest on them."""

    session: Session
    email: str
    market: Market
    days: Sequence[date]
    transfers: set[int] = field(default_factory=set)
    """The numbers of the matches that were found and became transfers."""

    def run(self, number: int | None = None) -> int:
        """Find the matches of the account's own orders, or the match of that number; store them and their orders. How
        many of both were new, or say something new."""
        ask = self.session.ask_as(self.email)
        orders = {} if number is not None else self._orders(ask)
        asked = (
            [("preventedMatchId", str(number))]
            if number is not None
            else [("orderId", key) for key, order in orders.items() if was_prevented(order.content)]
        )
        matches = [match for place in asked for match in self._matches(ask, place)]
        self._look_for_both_sides(ask, matches, orders)
        named = {str(match.content.get(name)) for match in matches for name in _SIDES}
        kept = [order for key, order in orders.items() if key in named or was_prevented(order.content)]
        now = self.session.clock.now()
        done = [
            self.session.raw.keep(self.email, ORDERS.name, kept, {}, now),
            self.session.raw.keep(self.email, PREVENTED.name, matches, {}, now),
        ]
        return sum(each.new + len(each.changed) for each in done)

    @property
    def _call(self) -> Mapping[str, str]:
        return {"symbol": self.market.symbol}

    def _orders(self, ask: Ask) -> dict[str, Told]:
        """By id: the latest orders; those of each day that began before the latest reach back; and what rests now."""
        told = self._ask(ask, ORDERS, [("limit", str(ORDERS.paging.size))])
        oldest = min((each.instant for each in told if each.instant is not None), default=None)
        for day in self.days:
            if len(told) >= ORDERS.paging.size and (oldest is None or midnight(day) <= oldest):
                drain = Drain(ORDERS, ask)
                drain.call(self._call, (midnight(day), midnight(day + ONE_DAY) - ONE_MS))
                told += drain.told
        if len(told) >= ORDERS.paging.size:
            told += self._told(ORDERS, ask(e.OPEN_ORDERS, list(self._call.items())))
        return {str(each.content.get("orderId")): each for each in told}

    def _matches(self, ask: Ask, place: tuple[str, str]) -> list[Told]:
        """All matches of an order, or the one of a number."""
        size, matches = PREVENTED.paging.size, list[Told]()
        more: list[tuple[str, str]] = []
        while True:
            told = self._ask(ask, PREVENTED, [place, *more])
            matches += told
            if place[0] != "orderId" or len(told) < size:
                break
            with reading(PREVENTED.endpoint, told[-1].response_id):
                last = max(int(each.content["preventedMatchId"]) for each in told)
            if more and last < int(more[0][1]):
                raise PageRepeated("a page of prevented matches went back", where=f"{PREVENTED.endpoint}, {place[1]}")
            more = [(str(PREVENTED.paging.page_param), str(last + 1))]
        for each in matches:
            with reading(PREVENTED.endpoint, each.response_id):
                if each.content.get("selfTradePreventionMode") == "TRANSFER":
                    self.transfers.add(int(each.content["preventedMatchId"]))
        return matches

    def _look_for_both_sides(self, ask: Ask, matches: Sequence[Told], orders: dict[str, Told]) -> None:
        """Whether the account had one side of a transfer or both: between two of its own orders nothing moves."""
        for match in matches:
            for name in _SIDES:
                wanted = str(match.content.get(name))
                if match.content.get("selfTradePreventionMode") == "TRANSFER" and wanted not in orders:
                    for order in self._ask(ask, ORDERS, [("orderId", wanted), ("limit", "1")]):
                        if str(order.content.get("orderId")) == wanted:
                            orders[wanted] = order

    def _ask(self, ask: Ask, stream: Stream, params: Sequence[tuple[str, str]]) -> list[Told]:
        return self._told(stream, ask(stream.endpoint, [*self._call.items(), *params]))

    def _told(self, stream: Stream, answer: Any) -> list[Told]:
        return told_by(stream, self._call, answer)[1]


def was_prevented(order: Content) -> bool:
    """Whether some of an order was kept from trading; what was not may rest on, or be filled."""
    if order.get("preventedMatchId") is not None or order.get("status") == "EXPIRED_IN_MATCH":
        return True
    try:
        return Decimal(str(order.get("preventedQuantity", 0))) > 0
    except InvalidOperation:
        return False
