"""Which markets are asked for trades: few on a common day, every one within a week, none twice for the same time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from recon_pipeline.venues.binance.discovery import (
    ROTATION_DAYS,
    AskedMarket,
    Market,
    between,
    rotation,
    standing,
    sticky,
    touching,
    unasked,
)

START = datetime(2026, 3, 1, tzinfo=UTC)
END = datetime(2026, 3, 2, tzinfo=UTC)
BASES = [f"COIN{n:03}" for n in range(70)] + ["BTC", "ETH", "BNB"]
MARKETS = [
    Market(base + quote, base, quote) for base in BASES for quote in ("USDT", "BTC", "BNB", "TRY") if base != quote
]


def asked(*symbols: str, through: datetime = END, traded: datetime | None = None) -> dict[str, AskedMarket]:
    return {symbol: AskedMarket(symbol, START, through, None, 0, traded) for symbol in symbols}


def symbols(markets: list[Market]) -> list[str]:
    return [market.symbol for market in markets]


def test_a_fill_s_two_assets_name_its_market_and_those_of_the_fee_asset() -> None:
    assert symbols(between({"COIN007", "USDT"}, MARKETS)) == ["BNBUSDT", "COIN007USDT", "COIN007BNB"]


def test_stablecoins_are_asked_first_then_major_coins_then_the_rest() -> None:
    found = symbols(touching({"COIN007"}, MARKETS))
    assert found == ["COIN007USDT", "COIN007BNB", "COIN007BTC", "COIN007TRY"]


def test_a_market_traded_of_late_is_asked_every_day() -> None:
    known = asked("COIN001USDT", traded=END - timedelta(days=29)) | asked("ETHBTC", traded=END - timedelta(days=31))
    assert symbols(sticky(MARKETS, known, END)) == ["COIN001USDT"]


def test_a_market_is_not_asked_again_for_a_time_that_it_covers() -> None:
    known = asked("ETHBTC") | asked("ETHBNB", through=START)
    assert symbols(unasked([Market("ETHBTC", "ETH", "BTC"), Market("ETHBNB", "ETH", "BNB")], known, START, END)) == [
        "ETHBNB"
    ]
    assert unasked([Market("ETHBTC", "ETH", "BTC")], known, START - timedelta(days=1), END)


def test_the_window_is_complete_once_every_market_of_an_unexplained_asset_was_asked() -> None:
    of_coin = symbols(touching({"COIN007"}, MARKETS))
    assert standing({"COIN007"}, MARKETS, asked(*of_coin[:-1]), START, END) == "partial"
    assert standing({"COIN007"}, MARKETS, asked(*of_coin), START, END) == "complete"
    assert standing(set(), MARKETS, {}, START, END) == "complete"
    assert standing({"COIN007"}, MARKETS, asked(*symbols(MARKETS)), START, END) == "final"


@given(st.sets(st.sampled_from(MARKETS), max_size=40))
def test_the_rotation_has_asked_every_market_after_a_week(known: set[Market]) -> None:
    so_far = asked(*(market.symbol for market in known), through=START)
    for _ in range(ROTATION_DAYS):
        some = rotation(MARKETS, so_far, START, END)
        assert len(some) <= -(-len(MARKETS) // ROTATION_DAYS)
        so_far |= asked(*symbols(some))
    assert standing(set(), MARKETS, so_far, START, END) == "final"
