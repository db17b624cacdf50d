"""What must hold for any records of Binance: legs that sum, an order that does not matter, rows that frames take."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from recon_pipeline.frames.schema import BALANCES, TRADES, TRANSFERS
from recon_pipeline.transport.errors import UnexpectedAnswer
from recon_pipeline.venues.binance.mapping import (
    MAPPED_ALONE,
    MAPPED_STREAMS,
    Mapped,
    as_table,
    cells,
    instants_of,
    map_records,
    places_of,
)
from recon_pipeline.venues.binance.streams import BY_NAME
from recon_pipeline.venues.streams import RawRecord
from recon_pipeline_tests.binance_records import CONTEXT, SYMBOLS, record, require_valid
from recon_pipeline_tests.binance_samples import SAMPLES, T, sample

AMOUNTS = st.decimals(min_value=Decimal("0.00000001"), max_value=Decimal("1e9"), places=8).map(lambda d: format(d, "f"))
SIGNED = st.tuples(st.sampled_from(["", "-"]), AMOUNTS).map("".join)
FLOWS = sorted(set(SAMPLES) - {name for name in SAMPLES if name.endswith(("_snapshots", "_account", "_balance"))})
quick = settings(max_examples=40, deadline=None)


@st.composite
def fills(draw: st.DrawFn) -> list[RawRecord]:
    """Fills of a few symbols, each with an id of its own."""
    ids = draw(st.lists(st.integers(0, 10**12), unique=True, max_size=12))
    return [
        record(
            "spot_trades",
            {
                "symbol": draw(st.sampled_from(sorted(SYMBOLS))),
                "id": number,
                "orderId": 1,
                "orderListId": -1,
                "price": draw(AMOUNTS),
                "qty": draw(AMOUNTS),
                "quoteQty": draw(AMOUNTS),
                "commission": draw(st.one_of(AMOUNTS, st.just("0.00000000"))),
                "commissionAsset": draw(st.sampled_from(["BNB", "BTC", "USDT"])),
                "time": T + draw(st.integers(0, 86_400_000)),
                "isBuyer": draw(st.booleans()),
                "isMaker": draw(st.booleans()),
                "isBestMatch": True,
            },
        )
        for number in ids
    ]


def everything(found: Mapped) -> dict[str, Any]:
    """What was mapped, as it came."""
    return {
        "transfers": found.transfers,
        "trades": found.trades,
        "balances": found.balances,
        "problems": found.problems,
        "unplaced": found.unplaced,
    }


@quick
@given(fills())
def test_the_legs_of_fills_sum_to_what_the_venue_stated(records: list[RawRecord]) -> None:
    found = map_records(records, CONTEXT)
    require_valid(found)
    expected: defaultdict[str, Decimal] = defaultdict(Decimal)
    for one in records:
        base, quote = SYMBOLS[one.content["symbol"]]
        sign = 1 if one.content["isBuyer"] else -1
        expected[base] += sign * Decimal(one.content["qty"])
        expected[quote] -= sign * Decimal(one.content["quoteQty"])
        expected[one.content["commissionAsset"]] -= Decimal(one.content["commission"])
    moved: defaultdict[str, Decimal] = defaultdict(Decimal)
    for row in found.trades:
        moved[row["asset"]] += Decimal(row["amount"])
    assert {asset: total for asset, total in moved.items() if total} == {
        asset: total for asset, total in expected.items() if total
    }


@quick
@given(fills(), st.randoms(use_true_random=False))
def test_the_order_of_records_does_not_matter(records: list[RawRecord], random: Any) -> None:
    known = [*records, *(sample(name) for name in ("deposits", "universal_transfers", "sub_user_transfers", "dust"))]
    shuffled = list(known)
    random.shuffle(shuffled)
    assert everything(map_records(known, CONTEXT)) == everything(map_records(shuffled, CONTEXT))


@quick
@given(st.sampled_from(FLOWS), st.data())
def test_any_amount_in_a_documented_shape_is_taken_by_the_frames(name: str, data: st.DataObject) -> None:
    known = sample(name)
    amounts: dict[str, Any] = {
        field: data.draw(AMOUNTS)
        for field, value in known.content.items()
        if isinstance(value, str)
        and field.lower().endswith(("amount", "qty", "fee", "income", "interest", "principal"))
    }
    require_valid(map_records([sample(name, **amounts)], CONTEXT))


_ANYTHING = st.one_of(
    st.none(), st.booleans(), st.integers(), st.text(max_size=5), st.decimals(), st.just([]), st.just({}), SIGNED
)


@quick
@given(st.sampled_from(sorted(SAMPLES)), st.data())
def test_no_value_of_a_field_stops_the_mapping_or_gives_a_row_that_is_no_row(name: str, data: st.DataObject) -> None:
    known = sample(name)
    field = data.draw(st.sampled_from(sorted(known.content)))
    odd: dict[str, Any] = {field: data.draw(_ANYTHING)}
    new: dict[str, Any] = {"surprise": 1}
    try:
        records = [sample(name, **odd), sample(name, **new)]
    except UnexpectedAnswer:  # a snapshot without its instant is refused before it is a record
        reject()
    found = map_records(records, CONTEXT)
    tables = ((TRANSFERS, found.transfers), (TRADES, found.trades), (BALANCES, found.balances))
    for frame, rows in tables:
        assert as_table(frame, rows).num_rows == len(rows)
        assert all(isinstance(row.get("amount", row.get("raw_balance")), str) for row in rows)


_STATES = (
    "PENDING", "PROCESS", "PROCESSING", "ACCEPT_SUCCESS", "INIT", "P", "CREATED", "PURCHASING", "REDEEMING",
    "REFUNDING", "REPAYING", "LIQUIDATING", "TRADING", "BUYER_PAYED", "DISTRIBUTING", "IN_APPEAL", "NEW", "OPEN", "ODD",
)  # fmt: skip


@pytest.mark.parametrize("status", ["as documented", "SUCCESS", "Refunded", "FAILED", "REFUND_SUCCESS", "5", "new"])
@pytest.mark.parametrize("name", sorted({*MAPPED_ALONE, "deposits", "sub_deposits"} & {*FLOWS}))
def test_a_record_that_cannot_be_believed_spoils_every_position_when_it_may_have_moved_it(
    name: str, status: str
) -> None:
    told = sample(name)
    states = {key for key in told.content if key.casefold().endswith("status")} if status != "as documented" else ()
    told = replace(told, content={**told.content, **dict.fromkeys(states, status)})
    found, at = map_records([told], CONTEXT), instants_of(told, CONTEXT)
    spoiled = {(wallet, asset) for _, wallet, asset in places_of(told, CONTEXT)}
    for row in (*found.transfers, *found.trades):
        assert row["datetime"] in at
        assert {(row["wallet"], row["asset"]), (None, row["asset"]), (row["wallet"], None), (None, None)} & spoiled
    assert None not in at


@pytest.mark.parametrize(
    ("name", "field"),
    [
        (name, field)
        for name in sorted(set(FLOWS) & MAPPED_STREAMS)
        for field, value in sample(name).content.items()
        if BY_NAME[name].role == "flow" and field.lower().endswith("status") and isinstance(value, str)
    ],
)
def test_what_is_under_way_moves_money_or_is_told_or_keeps_its_day_open(name: str, field: str) -> None:
    for state in _STATES:
        changes: dict[str, Any] = {field: state}
        known = sample(name, **changes)
        found = map_records([known], CONTEXT)
        assert found.transfers or found.trades or found.problems or BY_NAME[name].is_pending(known.content), state


@quick
@given(SIGNED, SIGNED)
def test_arithmetic_on_text_is_exact(one: str, other: str) -> None:
    assert Decimal(cells.total(one, other)) == Decimal(one) + Decimal(other)
    assert Decimal(cells.minus(one, other)) == Decimal(one) - Decimal(other)
    assert Decimal(cells.negative(one)) == -Decimal(one)
    assert Decimal(cells.size(one)) == abs(Decimal(one))
    assert cells.is_zero(one) == (Decimal(one) == 0)
    assert Decimal(cells.product(one, other)) == cells.EXACT.multiply(Decimal(one), Decimal(other))


def test_what_is_too_long_to_be_exact_is_refused_and_not_rounded() -> None:
    for arithmetic in (cells.total, cells.minus):
        with pytest.raises(cells.Malformed, match="longer than 120 digits"):
            arithmetic("1e130", "1")
    with pytest.raises(cells.Malformed, match="longer than 120 digits"):
        cells.product("1" + "0" * 70 + "1", "1" + "0" * 70 + "1")
    assert Decimal(cells.total("1", "0e-200")) == 1


@pytest.mark.parametrize("odd", ["NaN", "sNaN", "1e-200", "9e999999"])
def test_a_sum_of_whole_frames_raises_nothing_and_what_is_no_number_is_not_zero(odd: str) -> None:
    assert cells.EXACT.add(Decimal("9e999999"), Decimal(odd))


def test_no_amount_is_zero_in_any_spelling() -> None:
    for text in ("0", "-0", "0.000", "+0", ".0", "0E-8", "0e10"):
        assert cells.is_zero(text)
    for text in ("1", "-0.1", "1e-8", ".01", "10"):
        assert not cells.is_zero(text)
