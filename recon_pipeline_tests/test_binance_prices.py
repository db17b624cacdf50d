"""Prices: of what the run's windows hold or move, by the first way that had a trade, and nothing asked besides."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from recon_pipeline.frames.schema import FRAMES, QUARANTINE
from recon_pipeline.sandbox.binance import make_world
from recon_pipeline.sandbox.binance.gate import Asked
from recon_pipeline.venues.binance.mapping import close_of, price_ways
from recon_pipeline.venues.binance.prices import assets_of
from recon_pipeline.venues.reading import Reading
from recon_pipeline_tests.binance_home import binance_home
from recon_pipeline_tests.test_binance_markets import edit_answers
from recon_pipeline_tests.test_binance_open_days import day, quiet_world

DAY = date(2026, 3, 9)
KLINES = "/api/v3/klines"


def test_the_ways_to_a_price_are_those_that_are_listed_in_the_order_of_preference() -> None:
    listed = {
        "LDOUSDT": ("LDO", "USDT"), "LDOBTC": ("LDO", "BTC"), "LDOETH": ("LDO", "ETH"), "BTCUSDT": ("BTC", "USDT"),
        "USDTTRY": ("USDT", "TRY"), "XBNB": ("X", "BNB"),
    }  # fmt: skip
    assert price_ways(["LDO", "TRY", "X", "USDT"], listed) == {
        "LDO": [("LDOUSDT",), ("LDOBTC", "BTCUSDT")],
        "TRY": [("USDTTRY",)],
        "X": [],
        "USDT": [("BTCUSDT",)],
    }


@pytest.mark.parametrize(
    ("content", "price"),
    [
        ({"trades": 3, "close": "0.00000001"}, "0.00000001"),
        ({"trades": 0, "close": "0.5"}, None),
        ({"trades": 3, "close": "0.00000000"}, None),
        ({"trades": 3, "close": "100"}, "100"),
    ],
)
def test_a_candle_without_a_trade_tells_no_price(content: dict[str, Any], price: str | None) -> None:
    told = close_of({"closeTime": 1773100799999, **content})
    assert told == (None if price is None else (datetime(2026, 3, 9, 23, 59, 59, 999000, UTC), Decimal(price)))


def told(frame: str, *rows: tuple[str, str, date]) -> pa.Table:
    """Rows of account a: wallet, asset and day."""
    place = {"venue": "binance", "account": "a", "source": "s"}
    made: list[dict[str, Any]] = []
    for number, (wallet, asset, on) in enumerate(rows):
        noon = datetime(on.year, on.month, on.day, 12, tzinfo=UTC)
        row = {
            "wallet": wallet,
            "asset": asset,
            "date": on,
            "as_of": noon,
            "raw_balance": Decimal(0),
            "amount": Decimal(1),
        }
        row |= {"datetime": noon, "external_id": str(number), "txn_type": "transfer_in", "txn_subtype": "deposit"}
        names = {column.name for column in FRAMES[frame].columns}
        made.append(place | {name: value for name, value in row.items() if name in names})
    arrow = pa.schema([field.with_nullable(True) for field in FRAMES[frame].arrow])
    return pa.Table.from_pylist(made, schema=arrow)


def test_what_is_priced_is_what_the_windows_hold_or_move() -> None:
    days = [DAY - timedelta(days=back) for back in range(6)]
    frames = {
        "balances": told(
            "balances",
            ("SPOT", "SOLD", days[4]), ("SPOT", "HELD", days[1]), ("SPOT", "NEW", days[0]),
            ("MARGIN", "OF_OLD", days[5]), ("EARN", "FIRST", days[0]),
        ),
        "transfers": told(
            "transfers",
            ("SPOT", "MOVED", days[0]), ("SPOT", "GONE", days[3]), ("MARGIN", "SINCE", days[3]),
        ),
        "trades": told("trades", ("NEVER_STATED", "EVER", days[5])),
    }  # fmt: skip
    reading = Reading("binance", frames, QUARANTINE.empty_table(), (), (), (), "", {})
    assert assets_of(reading, DAY) == ["EVER", "FIRST", "HELD", "MOVED", "NEW", "OF_OLD", "SINCE"]


@pytest.mark.postgres
def test_another_way_is_asked_only_where_the_first_had_no_trade(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world(8, days=6, subs=0, symbols_max=250, burst_max=5)
    symbols = world.market.symbols
    first = world.days[2]
    symbols["BNBUSDT"] = replace(symbols["BNBUSDT"], status="BREAK")
    with binance_home(world, tmp_path, database, monkeypatch, start=first) as home:
        home.capture_days(first - timedelta(days=1), first)
        home.run(first, first)
        asked = {e["params"]["symbol"] for e in home.sandbox.site.gate.log if e["path"] == KLINES}
        assert {symbols[name].quote for name in asked if symbols[name].base == "BNB"} == {"USDT", "FDUSD"}
        besides = {symbols[name].base for name in asked if symbols[name].quote != "USDT"}
        direct = {base: symbols.get(f"{base}USDT") for base in besides - {"USDT"}}
        assert all(symbol is None or symbol.status != "TRADING" for symbol in direct.values())
        without = home.ask("SELECT DISTINCT asset FROM recon.reconciliation WHERE usd_price IS NULL")
        assert {asset for (asset,) in without}.isdisjoint(symbol.base for symbol in symbols.values())


@pytest.mark.postgres
@pytest.mark.parametrize(
    "odd", [{4: "much"}, pytest.param({6: "soon"}, marks=pytest.mark.long)], ids=["close", "closeTime"]
)
def test_a_candle_that_could_not_be_read_is_asked_for_again(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch, odd: dict[int, Any]
) -> None:
    is_wrong = True

    def unreadable(rows: Any, asked: Asked) -> Any:
        if not is_wrong or b"symbol=BTC" not in asked.query:
            return None
        return [[odd.get(place, cell) for place, cell in enumerate(row)] for row in rows]

    def priced() -> set[date]:
        rows = home.ask("SELECT (as_of AT TIME ZONE 'UTC')::date FROM recon.prices WHERE asset = 'BTC'")
        return {on for (on,) in rows}

    with binance_home(quiet_world(), tmp_path, database, monkeypatch, start=day(10)) as home:
        edit_answers(home, monkeypatch, KLINES, unreadable)
        home.run(day(10), day(10))
        assert priced() == set()
        is_wrong = False
        home.run(day(10), day(10))
        assert day(10) in priced()
