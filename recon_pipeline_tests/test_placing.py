"""A flow whose record states no wallet: moved only where that explains two wallets exactly, and nothing else would."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recon_pipeline.frames.schema import QUARANTINE
from recon_pipeline.venues.binance.mapping import Unplaced, map_records
from recon_pipeline.venues.binance.placing import Decision, Flow, decisions, flows_of
from recon_pipeline.venues.windows import Windows
from recon_pipeline_tests.binance_records import CONTEXT
from recon_pipeline_tests.binance_samples import sample

MAIN = "main@example.com"
WALLETS = ("SPOT", "FUNDING", "EARN")
DAYS = range(1, 5)
NIGHT = timedelta(minutes=20)
"""How long after midnight FUNDING and EARN are captured."""
INSTANT = pa.timestamp("us", "UTC")
ROW = pa.schema(
    [(name, pa.string()) for name in ("account", "wallet", "asset", "status")]
    + [("date", pa.date32()), ("window_start", INSTANT), ("window_end", INSTANT)]
    + [("variance_in_asset", pa.decimal128(38, 18))]
)
Off = Mapping[tuple[str, str, int], str]
"""What a wallet's coin is off by on a day."""


def at(day: int, hour: float = 12) -> datetime:
    return datetime(2026, 3, 1, tzinfo=UTC) + timedelta(days=day - 1, hours=hour)


def convert(key: str, day: int = 1, *, hour: float = 12, amount: str = "5", btc: str = "-0.1") -> Flow:
    """BTC sold for `amount` of USDT, in a wallet that nobody states."""
    moved = {"BTC": [(at(day, hour), Decimal(btc))], "USDT": [(at(day, hour), Decimal(amount))]}
    return Flow(Unplaced(MAIN, "converts", key, key, "SPOT"), moved)


def mined(key: str, day: int = 1, *, amount: str = "5") -> Flow:
    """A payment of USDT, in a wallet that nobody states."""
    return Flow(Unplaced(MAIN, "cloud_mining", key, key, "SPOT"), {"USDT": [(at(day), Decimal(amount))]})


def windows(
    off: Off,
    *,
    unread: Iterable[tuple[str, int]] = (),
    holes: Iterable[tuple[str, int]] = (),
    status: str = "incomplete",
) -> Windows:
    """The windows of four days: `unread` wallets have no balance on a day, of `holes` a feed was not read."""
    unread, holes = set(unread), set(holes)
    rows = []
    for wallet in WALLETS:
        ends = [(0, closing(0, wallet))]
        ends += [(day, closing(day, wallet)) for day in DAYS if (wallet, day) not in unread]
        for (_, start), (day, end) in pairwise(ends):
            for asset in ("AXS", "BNB", "BTC", "USDT"):
                row: dict[str, Any] = {"account": MAIN, "wallet": wallet, "asset": asset, "date": at(day).date()}
                row |= {"window_start": start, "window_end": end}
                row["variance_in_asset"] = Decimal(off.get((wallet, asset, day), "0"))
                rows.append(row | {"status": status if (wallet, day) in holes else "matched"})
    return Windows(pa.Table.from_pylist(rows, ROW), QUARANTINE.empty_table(), ("AXS", "BNB", "BTC", "USDT"))


def closing(day: int, wallet: str) -> datetime:
    """SPOT closes with the day, what is captured shortly after it."""
    return at(day, 24) - timedelta(microseconds=1) if wallet == "SPOT" else at(day, 24) + NIGHT


def out_of(wallet: str, day: int = 1, *, spot_day: int | None = None, amount: str = "5", btc: str = "0.1") -> Off:
    """What is off where a convert was booked in SPOT and took place in another wallet."""
    here = spot_day or day
    return {
        ("SPOT", "BTC", here): btc, ("SPOT", "USDT", here): f"-{amount}",
        (wallet, "BTC", day): f"-{btc}", (wallet, "USDT", day): amount,
    }  # fmt: skip


def placed(flows: Iterable[Flow], of: Windows, standing: Mapping[str, str] | None = None) -> Mapping[str, str | None]:
    """The wallets that are decided, by record."""
    return {each.record_digest: each.wallet for each in decisions(flows, of, standing or {})}


BOTH = out_of("FUNDING")


def test_it_is_moved_where_both_wallets_close_in_every_coin() -> None:
    (decision,) = decisions([convert("c1")], windows(BOTH), {})
    assert (decision.record_digest, decision.wallet) == ("c1", "FUNDING")
    assert decision.evidence == {
        "account": MAIN, "stream": "converts", "record": "c1", "day": "2026-03-01", "booked_in": "SPOT",
        "amounts": {"BTC": "-0.1", "USDT": "5"},
        "windows": [
            [wallet, asset, closing(0, wallet).isoformat(), closing(1, wallet).isoformat()]
            for wallet in ("FUNDING", "SPOT") for asset in ("BTC", "USDT")
        ],
    }  # fmt: skip
    assert placed([convert("c1")], windows(BOTH), {"c1": "FUNDING"}) == {}


def test_it_is_moved_whatever_the_number_of_its_digits() -> None:
    long = "12345678901.123456789012345678"
    assert placed([convert("c1", amount=long)], windows(out_of("FUNDING", amount=long))) == {"c1": "FUNDING"}
    less = {**out_of("FUNDING", amount=long), ("SPOT", "USDT", 1): "-12345678901.123456789012345677"}
    assert placed([convert("c1", amount=long)], windows(less)) == {}


def test_a_leg_whose_wallet_is_known_is_not_moved_with_the_other() -> None:
    loan = sample("flexible_loan_borrows")
    (flow,) = flows_of(map_records([loan], CONTEXT))
    assert {asset: [amount for _, amount in moved] for asset, moved in flow.moved.items()} == {"BNB": [Decimal("-4.5")]}


@pytest.mark.parametrize("name", ["locked_redemptions", "onchain_redemptions"])
def test_money_that_went_into_another_product_is_found_there_and_the_decision_is_looked_at_again(name: str) -> None:
    redeemed = sample(name)
    usual = flows_of(map_records([redeemed], CONTEXT))
    moved = flows_of(map_records([redeemed], replace(CONTEXT, decisions={redeemed.digest: "EARN"})))
    assert moved[0].moved == usual[0].moved
    shift = moved[0].moved["AXS"][0][0].date() - at(1).date()
    on_day_one = [replace(moved[0], moved={"AXS": [(when - shift, amount) for when, amount in moved[0].moved["AXS"]]})]
    off = {("SPOT", "AXS", 1): "-9.75", ("EARN", "AXS", 1): "9.75"}
    assert placed(on_day_one, windows(off)) == {redeemed.digest: "EARN"}
    assert placed(on_day_one, windows(off), {redeemed.digest: "EARN"}) == {}
    assert placed(on_day_one, windows({}), {redeemed.digest: "EARN"}) == {redeemed.digest: None}


def test_it_stays_where_one_coin_would_not_close() -> None:
    assert placed([convert("c1")], windows({**BOTH, ("FUNDING", "USDT", 1): "5.00000001"})) == {}
    assert placed([convert("c1")], windows({place: off for place, off in BOTH.items() if place[0] == "SPOT"})) == {}
    assert placed([convert("c1")], windows({place: off for place, off in BOTH.items() if place[0] != "SPOT"})) == {}


@pytest.mark.parametrize("status", ["incomplete", "pending"])
@pytest.mark.parametrize("wallet", ["SPOT", "FUNDING"])
def test_it_stays_where_a_feed_of_either_window_has_a_hole_due_or_not(wallet: str, status: str) -> None:
    assert placed([convert("c1")], windows(BOTH, holes=[(wallet, 1)], status=status)) == {}
    assert placed([convert("c1")], windows(BOTH, holes=[(wallet, 2)], status=status)) == {"c1": "FUNDING"}


def test_it_stays_where_another_flow_would_explain_the_same() -> None:
    assert placed([convert("c1"), convert("c2", hour=18)], windows(BOTH)) == {}


def test_it_stays_where_another_flow_would_explain_one_of_its_coins() -> None:
    assert placed([convert("c1"), mined("m1")], windows(BOTH)) == {}
    assert placed([convert("c1"), mined("m1", amount="4")], windows(BOTH)) == {"c1": "FUNDING"}


def test_it_stays_where_a_third_wallet_would_explain_the_same() -> None:
    assert placed([convert("c1")], windows({**BOTH, **out_of("EARN")})) == {}


# --- windows of several days


def test_a_flow_of_a_day_without_balances_is_found_where_they_are_stated_next() -> None:
    unread = [("SPOT", 1), ("SPOT", 2), ("FUNDING", 1), ("FUNDING", 2)]
    assert placed([convert("c1", 1)], windows(out_of("FUNDING", 3), unread=unread)) == {"c1": "FUNDING"}


def test_windows_of_two_wallets_need_not_be_of_the_same_days() -> None:
    off = out_of("FUNDING", 2, spot_day=1)
    assert placed([convert("c1", 1)], windows(off, unread=[("FUNDING", 1)])) == {"c1": "FUNDING"}
    # an equal one of the next day would leave a gap in SPOT on that day, and there is none
    assert placed([convert("c1", 1), convert("c2", 2)], windows(off, unread=[("FUNDING", 1)])) == {"c1": "FUNDING"}


@pytest.mark.parametrize("days", [(1, 2), (2, 1), (1, 3), (2, 3)])
def test_of_equal_flows_in_one_window_none_is_moved_whatever_their_days(days: tuple[int, int]) -> None:
    unread = [(wallet, day) for wallet in ("SPOT", "FUNDING") for day in (1, 2)]
    flows = [convert("c1", days[0]), convert("c2", days[1])]
    assert placed(flows, windows(out_of("FUNDING", 3), unread=unread)) == {}
    assert placed(flows[:1], windows(out_of("FUNDING", 3), unread=unread)) == {"c1": "FUNDING"}


def test_what_moved_between_midnight_and_the_capture_is_of_two_days() -> None:
    late = convert("c1", 2, hour=0.1)
    assert placed([late], windows(out_of("FUNDING", 1, spot_day=2))) == {"c1": "FUNDING"}
    assert placed([late], windows(out_of("FUNDING", 2))) == {}


def test_what_was_taken_back_later_is_looked_for_in_both_windows() -> None:
    flow = convert("c1")
    back = {asset: [*moved, (at(3), -moved[0][1])] for asset, moved in flow.moved.items()}
    returned = {("SPOT", "BTC", 3): "-0.1", ("SPOT", "USDT", 3): "5"}
    returned |= {("FUNDING", "BTC", 3): "0.1", ("FUNDING", "USDT", 3): "-5"}
    assert placed([replace(flow, moved=back)], windows({**BOTH, **returned})) == {"c1": "FUNDING"}
    assert placed([replace(flow, moved=back)], windows(BOTH)) == {}
    unread = [(wallet, day) for wallet in ("SPOT", "FUNDING") for day in (1, 2)]
    assert placed([replace(flow, moved=back)], windows({}, unread=unread)) == {}


# --- what was decided before


def test_a_decision_is_withdrawn_when_its_wallets_are_not_off_by_it_any_more() -> None:
    flows, stands = [convert("c1")], {"c1": "FUNDING"}
    for place in BOTH:
        (withdrawn,) = decisions(flows, windows({**BOTH, place: "0"}), stands)
        assert (withdrawn.record_digest, withdrawn.wallet) == ("c1", None)
        assert "not off by what it moved" in str(withdrawn.evidence["why"])


def test_a_decision_is_withdrawn_when_an_equal_flow_is_told_later() -> None:
    (withdrawn,) = decisions([convert("c1"), convert("c2")], windows(BOTH), {"c1": "FUNDING"})
    assert (withdrawn.record_digest, withdrawn.wallet) == ("c1", None)
    assert "would explain the same" in str(withdrawn.evidence["why"])
    # and stands again when that one is told no more
    assert placed([convert("c1")], windows(BOTH), {}) == {"c1": "FUNDING"}


def test_a_decision_is_withdrawn_when_its_record_counts_no_more() -> None:
    (withdrawn,) = decisions([], windows(BOTH), {"c1": "FUNDING"})
    assert (withdrawn.record_digest, withdrawn.wallet) == ("c1", None)
    assert "does not count any more" in str(withdrawn.evidence["why"])


def test_a_decision_is_replaced_by_the_wallet_that_the_balances_speak_for_now() -> None:
    assert placed([convert("c1")], windows(out_of("EARN")), {"c1": "FUNDING"}) == {"c1": "EARN"}


def test_a_decision_goes_on_standing_while_a_window_of_it_has_a_hole() -> None:
    flows, stands = [convert("c1")], {"c1": "FUNDING"}
    hole, other = [("FUNDING", 1)], {**BOTH, ("FUNDING", "USDT", 1): "5.5"}
    assert placed(flows, windows(BOTH, holes=hole), stands) == {}
    assert placed(flows, windows(other, holes=hole), stands) == {}
    assert placed(flows, windows(other), stands) == {"c1": None}
    assert placed(flows, windows(BOTH, unread=[("FUNDING", day) for day in DAYS]), stands) == {}
    # what is closed speaks against it whatever is open
    assert placed(flows, windows({**BOTH, ("SPOT", "BTC", 1): "0.2"}, holes=hole), stands) == {"c1": None}
    # and so does another one that would explain the same
    assert placed([*flows, convert("c2")], windows(BOTH, holes=hole), stands) == {"c1": None}


def told_again(flow: Flow, digest: str) -> Flow:
    """The same record in other words."""
    return replace(flow, unplaced=replace(flow.unplaced, raw_id=digest))


def test_a_decision_outlives_a_change_of_the_record_while_a_window_of_it_has_a_hole() -> None:
    before = Decision("c1", "FUNDING", {"record": "c1"})
    again, stands, hole = told_again(convert("c1"), "c1 again"), {"c1": "FUNDING"}, [("FUNDING", 1)]
    taken_over, withdrawn = decisions([again], windows(BOTH, holes=hole), stands, {"c1 again": before})
    assert taken_over == replace(before, record_digest="c1 again")
    assert (withdrawn.record_digest, withdrawn.wallet) == ("c1", None)
    now = after(stands, [taken_over, withdrawn])
    assert decisions([again], windows(BOTH, holes=hole), now) == []
    # what is closed speaks against it all the same
    other = windows({**BOTH, ("SPOT", "BTC", 1): "0.2"}, holes=hole)
    assert [(d.record_digest, d.wallet) for d in decisions([again], other, stands, {"c1 again": before})] == [
        ("c1", None)
    ]
    # and where nothing is open it is decided anew
    taken_over, _ = decisions([again], windows(BOTH), stands, {"c1 again": before})
    assert (taken_over.wallet, taken_over.evidence["record"], "windows" in taken_over.evidence) == (
        "FUNDING", "c1", True,
    )  # fmt: skip


def test_it_stays_where_what_came_back_of_another_one_would_explain_the_same() -> None:
    day_two = {("SPOT", "USDT", 2): "-5", ("FUNDING", "USDT", 2): "5"}
    before_any_window = {"USDT": [(at(0), Decimal(-5))]}
    other = Flow(Unplaced(MAIN, "fiat_orders", "f", "f", "SPOT"), before_any_window, {"USDT": [(at(2), Decimal(5))]})
    assert placed([mined("m1", 2)], windows(day_two)) == {"m1": "FUNDING"}
    assert placed([mined("m1", 2), other], windows(day_two)) == {}
    assert placed([mined("m1", 2), other], windows(day_two), {"m1": "FUNDING"}) == {"m1": None}
    # not if the other one cannot have been there, or if it is placed
    elsewhere = replace(other, moved={"USDT": [(at(1), Decimal(-5))]})
    assert placed([mined("m1", 2), elsewhere], windows(day_two)) == {"m1": "FUNDING"}
    assert placed([mined("m1", 2), replace(other, back={})], windows(day_two)) == {"m1": "FUNDING"}


# --- whatever happens


@dataclass(frozen=True)
class Story:
    """Flows, what the balances say of them, and decisions that stood before."""

    flows: Sequence[Flow]
    off: Off
    unread: frozenset[tuple[str, int]]
    holes: frozenset[tuple[str, int]]
    standing: Mapping[str, str]

    @property
    def windows(self) -> Windows:
        return windows(self.off, unread=self.unread, holes=self.holes)


@st.composite
def stories(draw: st.DrawFn) -> Story:
    """Few amounts and days, so that flows are often equal; each took place somewhere, and some balances are wrong."""
    unread = draw(st.frozensets(st.tuples(st.sampled_from(WALLETS), st.integers(1, 3)), max_size=4))
    stated = {wallet: [day for day in DAYS if (wallet, day) not in unread] for wallet in WALLETS}
    holes = draw(st.frozensets(st.tuples(st.sampled_from(WALLETS), st.sampled_from(DAYS)), max_size=2))
    amounts, hours = st.sampled_from(["5", "3", "-3"]), st.sampled_from([0.1, 12.0])
    flows, off = [], dict.fromkeys(((w, a, d) for w in WALLETS for a in ("BTC", "USDT") for d in DAYS), Decimal(0))
    for number in range(draw(st.integers(0, 5))):
        day, amount = draw(st.sampled_from(DAYS)), draw(amounts)
        hour = draw(hours) if day > 1 else 12
        flow = convert(f"r{number}", day, hour=hour, amount=amount) if draw(st.booleans()) else mined(f"r{number}", day)
        flow = replace(flow, unplaced=replace(flow.unplaced, usual=draw(st.sampled_from(["SPOT", "SPOT", "FUNDING"]))))
        flows.append(flow)
        truly = draw(st.sampled_from(WALLETS))
        for asset, moved in flow.moved.items():
            for wallet, sign in ((truly, 1), (flow.unplaced.usual, -1)):
                ends = (each for each in stated[wallet] if closing(each, wallet) >= moved[0][0])
                if (end := next(ends, None)) is not None:
                    off[wallet, asset, end] += sign * moved[0][1]
    for place in draw(st.lists(st.sampled_from(sorted(off)), max_size=2)):
        off[place] += Decimal(draw(amounts))
    standing = draw(st.dictionaries(st.sampled_from(["r0", "r1", "r2", "gone"]), st.sampled_from(WALLETS)))
    return Story(flows, {place: str(amount) for place, amount in off.items()}, unread, holes, standing)


def after(standing: Mapping[str, str], found: Iterable[Decision]) -> Mapping[str, str]:
    """What stands once decisions are stored."""
    now: dict[str, str | None] = {**standing, **{each.record_digest: each.wallet for each in found}}
    return {digest: wallet for digest, wallet in now.items() if wallet is not None}


@settings(max_examples=150, deadline=None, derandomize=True)
@given(stories(), st.randoms())
def test_what_was_decided_is_decided_so_again_in_whatever_order_it_is_told(story: Story, order: Any) -> None:
    of, found = story.windows, decisions(story.flows, story.windows, story.standing)
    shuffled = order.sample(story.flows, len(story.flows))
    assert decisions(shuffled, of, story.standing) == found
    assert decisions(story.flows, of, after(story.standing, found)) == []
    assert all(each.wallet != story.standing.get(each.record_digest) for each in found)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(stories())
def test_where_nothing_is_open_what_stood_before_makes_no_difference(story: Story) -> None:
    closed = replace(story, holes=frozenset())
    end = at(DAYS[-1], 24)
    flows = [flow for flow in closed.flows if all(when < end for moved in flow.moved.values() for when, _ in moved)]
    anew = after({}, decisions(flows, closed.windows, {}))
    assert after(closed.standing, decisions(flows, closed.windows, closed.standing)) == anew


@settings(max_examples=300, deadline=None, derandomize=True)
@given(stories())
def test_what_is_moved_closes_both_wallets_and_nothing_else_would_close_any_window_of_it(story: Story) -> None:
    for decision in decisions(story.flows, story.windows, {}):
        (flow,) = (each for each in story.flows if each.unplaced.raw_id == decision.record_digest)
        moved = closed_by(story, flow, str(decision.wallet))
        assert moved
        for other in story.flows:
            for wallet in set(WALLETS) - {other.unplaced.usual}:
                if (other, wallet) != (flow, decision.wallet):
                    assert not moved & closed_by(story, other, wallet)


def closed_by(story: Story, flow: Flow, wallet: str) -> set[tuple[str, str, int]]:
    """The windows that a flow would close if it had taken place in another wallet; none if one would stay open."""
    found = set()
    for place, amount in legs(flow, wallet):
        days = [day for day in DAYS if (place[0], day) not in story.unread and closing(day, place[0]) >= place[2]]
        if not days or (place[0], days[0]) in story.holes:
            return set()
        if Decimal(story.off[place[0], place[1], days[0]]) != amount:
            return set()
        found.add((place[0], place[1], days[0]))
    return found


def legs(flow: Flow, wallet: str) -> Iterator[tuple[tuple[str, str, datetime], Decimal]]:
    for asset, moved in flow.moved.items():
        for when, amount in moved:
            yield (flow.unplaced.usual, asset, when), -amount
            yield (wallet, asset, when), amount
