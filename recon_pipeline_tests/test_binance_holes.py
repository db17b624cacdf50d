"""A wallet that nothing told of yet is a hole for as long as nobody knows that it held nothing."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from recon_pipeline.frames.schema import FRAMES
from recon_pipeline.stores.raw import DayRead, Stored
from recon_pipeline.venues.binance.accounts import Stretch
from recon_pipeline.venues.binance.holes import FLOWS_OF, MOVED_BY, FirstTold, first_told, hidden_holes
from recon_pipeline.venues.binance.made import made_later, since_made, unmade_rows
from recon_pipeline.venues.binance.mapping import MappingContext
from recon_pipeline.venues.binance.pulling import Pull
from recon_pipeline.venues.binance.reading import table_of
from recon_pipeline.venues.binance.session import Session
from recon_pipeline.venues.binance.streams import BY_NAME
from recon_pipeline.venues.pull import Ledger, midnight
from recon_pipeline.venues.streams import AccountFacts

MAIN, OWNER = "main@example.com", "owner@example.com"
FIRST, SECOND, THIRD, FOURTH = (date(2026, 1, number) for number in (3, 4, 5, 6))
FACTS = AccountFacts(MAIN, master=OWNER, products=frozenset({"spot", "futures"}))
FEED, SNAPSHOTS = "futures_income", "futures_snapshots"
GONE = Stored(7, MAIN, "account_info", "", {}, {"isFutureEnabled": False}, "d7", False, datetime.now(UTC), None, 2)


@pytest.mark.parametrize("error", ["NotTold", "BeyondRetention"])
@pytest.mark.parametrize(
    ("told", "open_days"),
    [
        pytest.param(None, {FIRST, SECOND}, id="nothing was ever told of it"),
        pytest.param(FirstTold(stated=THIRD, is_from_nothing=True), set(), id="what it holds came into it"),
        pytest.param(FirstTold(moved=THIRD), {FIRST, SECOND}, id="something moved, and its snapshot is still to come"),
        pytest.param(FirstTold(stated=THIRD), {FIRST, SECOND}, id="what it holds was there before"),
        pytest.param(FirstTold(stated=SECOND), {FIRST}, id="its first balance closes a day"),
    ],
)
def test_a_snapshot_that_lacks_hides_what_the_wallet_may_have_held(
    told: FirstTold | None, open_days: set[date], error: str
) -> None:
    status = "partial" if error == "NotTold" else "failed"
    ledger = [marked(SNAPSHOTS, day, status=status, error=error) for day in (FIRST, SECOND)]
    ledger += [marked(FEED, day, status="complete") for day in (FIRST, SECOND, THIRD)]
    assert holes(ledger, told) == open_days


def stated(day: date, amount: str, *, hours: int = 0, **more: str) -> dict[str, Any]:
    """A balance that closes a day, stated at its end or some hours later."""
    as_of = midnight(day + timedelta(days=1)) + (timedelta(hours=hours) if hours else -timedelta(microseconds=1))
    return {"date": day, "as_of": as_of, "raw_balance": amount, **more}


@pytest.mark.parametrize(
    ("told", "is_believed"),
    [
        pytest.param([("balances", stated(FIRST, "0.00000000"))], True, id="empty"),
        pytest.param([("balances", stated(SECOND, "0"))], True, id="what it began with"),
        pytest.param([("balances", stated(THIRD, "5"))], True, id="on its first day"),
        pytest.param([("balances", stated(SECOND, "5"))], False, id="something the day before"),
        pytest.param([("balances", stated(SECOND, "5", hours=3))], True, id="captured after it was made"),
        pytest.param([("balances", stated(FIRST, "0", raw_loan="1E-8"))], False, id="a loan"),
        pytest.param([("balances", stated(FIRST, "five"))], False, id="nobody knows how much"),
        pytest.param([("transfers", {"datetime": midnight(THIRD) - timedelta(hours=1)})], False, id="a flow"),
        pytest.param([("trades", {"datetime": midnight(THIRD)})], True, id="a trade of its first day"),
        pytest.param([("quarantine", {"date": None, "instant": midnight(SECOND)})], False, id="a refused row"),
        pytest.param([("quarantine", {"date": None, "instant": None})], False, id="a refused row of any day"),
        pytest.param([("quarantine", {"date": THIRD, "instant": None})], True, id="one of its first day"),
    ],
)
def test_the_day_on_which_an_account_was_made_is_believed_unless_something_is_told_of_one_before(
    told: list[tuple[str, dict[str, Any]]], *, is_believed: bool
) -> None:
    def rows(name: str) -> list[dict[str, Any]]:
        return [{"account": MAIN, **row} for of, row in told if of == name]

    balances, *flows = (table_of(FRAMES[name], rows(name), {}) for name in ("balances", "transfers", "trades"))
    made = {MAIN: THIRD, OWNER: FIRST}
    believed = {MAIN: THIRD} if is_believed else {}
    assert made_later(made, FIRST, balances, flows, rows("quarantine")) == believed
    left = [row["date"] for row in rows("balances") if row["date"] >= SECOND or not is_believed]
    assert since_made(balances, believed)["date"].to_pylist() == left
    assert [row["window_end"] for row in unmade_rows(believed, midnight(FIRST))] == [
        midnight(THIRD) - timedelta(microseconds=1) for _ in believed
    ]


@pytest.mark.parametrize(("unread", "open_days"), [(THIRD, {FIRST, SECOND}), (SECOND, {FIRST}), (FIRST, set())])
def test_what_was_not_read_since_may_have_emptied_the_wallet(unread: date, open_days: set[date]) -> None:
    """Of the days before the one on which its flows were not read nobody knows what it held."""
    ledger = [marked(SNAPSHOTS, day, status="partial", error="NotTold") for day in (FIRST, SECOND)]
    for day in (FIRST, SECOND, THIRD):
        ledger.append(marked("deposits", day, status="complete"))
        ledger.append(marked(FEED, day, status="partial" if day == unread else "final"))
    assert holes(ledger, FirstTold(stated=THIRD, is_from_nothing=True)) == open_days


def test_a_flow_that_nobody_could_read_may_have_emptied_the_wallet() -> None:
    ledger = [marked(SNAPSHOTS, day, status="partial", error="NotTold") for day in (FIRST, SECOND)]
    ledger += [marked(FEED, day, status="complete") for day in (FIRST, SECOND, THIRD)]
    came = FirstTold(stated=THIRD, is_from_nothing=True)
    assert holes(ledger, came, unusable=[(MAIN, FEED, SECOND)]) == {FIRST}
    assert holes(ledger, came, unusable=[(MAIN, "deposits", SECOND)]) == set()


def test_a_first_snapshot_that_was_read_in_part_proves_no_wallet_to_have_been_empty_before_it() -> None:
    """What it states of an asset that nobody could read may have been there all along."""
    ledger = [marked(SNAPSHOTS, day, status="partial", error="NotTold") for day in (FIRST, SECOND)]
    ledger += [marked(each, THIRD, status="complete") for each in (SNAPSHOTS, FEED)]
    ledger += [marked(FEED, day, status="complete") for day in (FIRST, SECOND)]
    came = FirstTold(stated=THIRD, is_from_nothing=True)
    assert holes(ledger, came, unusable=[(MAIN, SNAPSHOTS, THIRD)]) == {FIRST, SECOND}
    assert holes(ledger, came, unusable=[(MAIN, "spot_snapshots", THIRD)]) == set()


@pytest.mark.parametrize(
    ("status", "unusable", "open_days"),
    [
        pytest.param("complete", None, set(), id="all of it was read"),
        pytest.param("not_applicable", None, set(), id="it has no main account"),
        pytest.param("failed", None, {FIRST}, id="it was not read"),
        pytest.param("complete", (OWNER, "universal_transfers", SECOND), {FIRST}, id="what it told was no record"),
    ],
)
def test_what_a_main_account_moved_may_have_emptied_the_wallet(
    status: str, unusable: tuple[str, str, date] | None, open_days: set[date]
) -> None:
    """Its key tells of what it sent out of a sub-account, and no key of the sub-account does."""
    ledger = [marked("spot_snapshots", day, status="partial", error="NotTold") for day in (FIRST, SECOND)]
    for day in (FIRST, SECOND, THIRD):
        ledger += [marked(flow, day, status="complete") for flow in MOVED_BY["SPOT"] if flow != "universal_transfers"]
        ledger.append(marked("universal_transfers", day, status=status if day == SECOND else "complete"))
    came = FirstTold(stated=THIRD, is_from_nothing=True)
    assert holes(ledger, came, unusable=[unusable] if unusable else [], wallet="SPOT") == open_days


@pytest.mark.parametrize(("who", "open_days"), [(OWNER, set()), (MAIN, {FIRST, SECOND})])
def test_what_recon_yaml_says_that_the_main_account_never_used_emptied_no_wallet_of_its_sub_accounts(
    who: str, open_days: set[date]
) -> None:
    """It says so of the account whose key is asked."""
    ledger = [marked("spot_snapshots", day, status="partial", error="NotTold") for day in (FIRST, SECOND)]
    for day in (FIRST, SECOND, THIRD):
        ledger += [marked(flow, day, status="complete") for flow in MOVED_BY["SPOT"] if flow != "sub_deposits"]
        ledger.append(marked("sub_deposits", day, status="not_applicable", error="NeverUsed"))
    came = FirstTold(stated=THIRD, is_from_nothing=True)
    assert holes(ledger, came, wallet="SPOT", never_used={who: {"sub_deposits"}}) == open_days


@pytest.mark.parametrize(("error", "open_days"), [(None, set()), ("Gone", {FIRST})])
def test_that_the_venue_has_removed_a_feed_does_not_say_that_the_account_has_no_such_wallet(
    error: str | None, open_days: set[date]
) -> None:
    ledger = [marked("option_account", FIRST, status="failed"), marked("deposits", FIRST, status="complete")]
    ledger.append(marked("option_bills", FIRST, status="not_applicable", error=error))
    assert FLOWS_OF["option_account"] == ("option_bills",)
    context = MappingContext(accounts={MAIN: FACTS}, symbols={}, captured={MAIN: frozenset({"OPTION"})})
    rows = hidden_holes(ledger, {}, context, FIRST, never_used={})
    assert {row["date"] for row in rows if row["wallet"] == "OPTION"} == open_days


def test_an_account_that_recon_yaml_names_no_more_is_judged_by_what_was_read_of_it() -> None:
    ledger = [marked(SNAPSHOTS, FIRST, status="failed", error="OpenedUnknown")]
    ledger += [marked("deposits", FIRST, status="complete")]
    told = {(MAIN, "FUTURES"): FirstTold(stated=THIRD, is_from_nothing=True)}
    (row,) = hidden_holes(ledger, told, MappingContext(accounts={}, symbols={}), FIRST, never_used={})
    assert (row["wallet"], row["date"]) == ("FUTURES", FIRST)


@pytest.mark.parametrize(
    ("stretches", "open_days"),
    [
        pytest.param([], set(), id="it never had it"),
        pytest.param([Stretch(FIRST, SECOND, GONE)], {FIRST}, id="it had left it by the second"),
        pytest.param([Stretch(FIRST, THIRD, GONE)], {FIRST, SECOND}, id="it had left it by the third"),
        pytest.param([Stretch(FOURTH)], set(), id="it opened it later"),
        pytest.param([Stretch(FIRST, SECOND, GONE), Stretch(FOURTH)], {FIRST}, id="it opened it once more"),
    ],
)
def test_that_an_account_has_left_a_product_says_nothing_of_the_days_on_which_it_had_it(
    stretches: Sequence[Stretch], open_days: set[date]
) -> None:
    ledger = [marked(SNAPSHOTS, day, status="failed", error="ApiKeyInvalid") for day in (FIRST, SECOND)]
    ledger += [marked("deposits", day, status="complete") for day in (FIRST, SECOND)]
    ledger.append(marked(SNAPSHOTS, THIRD, status="not_applicable"))
    assert holes(ledger, None, stretches=stretches) == open_days


def test_what_was_open_after_the_run_of_a_day_is_not_closed_by_a_run_of_the_day_before() -> None:
    """The venue said last, in the night after the first day, that the account had not opened options."""
    ledger = {("option_account", FIRST): "not_applicable"}

    def mark(_: str, stream: str, days: Mapping[date, DayRead], __: datetime) -> None:
        ledger.update({(stream, day): read.status for day, read in days.items()})

    def rows() -> list[Any]:
        return [marked(stream, day, status=status) for (stream, day), status in ledger.items()]

    def bills_after_run(day: date, facts: AccountFacts = FACTS) -> tuple[str | None, str | None]:
        raw: Any = SimpleNamespace(
            mark=mark,
            ledger=lambda: [
                SimpleNamespace(**vars(row), calls=None, asked_in_vain=None, read_at=midnight(row.date))
                for row in rows()
            ],
        )
        clock: Any = SimpleNamespace(now=lambda: datetime.now(UTC))
        asked: Any = SimpleNamespace(days=(day,))
        nothing: Any = None
        session = Session("binance", "", nothing, nothing, clock, raw, {}, asked)
        Pull(session)._heard_until(BY_NAME["option_bills"], facts, Ledger(raw))
        first, second = (ledger.get(("option_bills", each)) for each in (FIRST, SECOND))
        return first, second

    assert bills_after_run(FIRST) == ("not_applicable", "not_applicable")
    assert bills_after_run(SECOND) == ("not_applicable", "failed")
    assert bills_after_run(FIRST) == ("not_applicable", "failed")
    ledger["option_account", SECOND] = ledger.pop(("option_account", FIRST))  # it said so in the next night alone
    assert bills_after_run(SECOND) == ("not_applicable", "not_applicable")
    assert bills_after_run(FIRST) == ("failed", "not_applicable")
    # it had left them in that night, and may have moved something on the day
    assert bills_after_run(SECOND, replace(FACTS, had={"option": [(FIRST, THIRD)]})) == ("failed", "failed")


@pytest.mark.parametrize(
    ("stated", "flows", "is_from_nothing"),
    [
        pytest.param({"USDT": "0"}, [], True, id="empty, and nothing moved"),
        pytest.param({"USDT": "12.50"}, [("USDT", "12.5")], True, id="all of it came in"),
        pytest.param({"USDT": "110"}, [("USDT", "10")], False, id="some of it was there"),
        pytest.param({"USDT": "90"}, [("USDT", "-10")], False, id="more of it was there"),
        pytest.param({"USDT": "0"}, [("USDT", "-100")], False, id="it was emptied since"),
        pytest.param({"USDT": "5", "BTC": "1"}, [("USDT", "5")], False, id="another asset was there"),
        pytest.param({"USDT": "5"}, [("USDT", "5"), ("BTC", "-1")], False, id="another asset left"),
        pytest.param({"USDT": "5"}, [("USDT", "7"), ("USDT", "-2")], True, id="it came and partly left"),
        pytest.param({"USDT": "x"}, [("USDT", "5")], False, id="no amount"),
    ],
)
def test_a_wallet_came_from_nothing_if_all_that_it_holds_was_seen_to_come(
    stated: dict[str, str], flows: list[tuple[str, str]], is_from_nothing: bool
) -> None:
    place = {"account": MAIN, "wallet": "FUTURES"}
    as_of = datetime(2026, 1, 5, 23, 59, 59, 999_999, tzinfo=UTC)
    balances = [
        {**place, "asset": asset, "as_of": at, "date": at.date(), "raw_balance": held, "raw_loan": None}
        for asset, held in stated.items()
        for at in (as_of, as_of + timedelta(days=1))
    ]
    transfers = [
        {**place, "asset": asset, "measure": measure, "amount": amount, "datetime": at}
        for asset, amount in flows
        for measure, at in (
            ("balance", as_of - timedelta(hours=1)), ("balance", as_of + timedelta(hours=1)), ("interest", as_of)
        )
    ]  # fmt: skip
    tables = (table_of(FRAMES["balances"], balances, {}), table_of(FRAMES["transfers"], transfers, {}))
    told = first_told(*tables, table_of(FRAMES["trades"], [], {}))
    moved = as_of.date() if flows else date.max
    assert told == {(MAIN, "FUTURES"): FirstTold(as_of.date(), moved, is_from_nothing, ("FUTURES",))}


def test_a_feed_that_failed_hides_what_came_before_the_first_balance() -> None:
    ledger = [marked("futures_income", day, status="failed", error="ApiKeyInvalid") for day in (FIRST, SECOND)]
    ledger += [marked("deposits", day, status="complete") for day in (FIRST, SECOND)]
    assert holes(ledger, FirstTold(stated=SECOND)) == {FIRST}


def marked(stream: str, day: date, *, status: str, error: str | None = None) -> Any:
    """What the ledger holds of a day of a stream."""
    return SimpleNamespace(account=MAIN, stream=stream, date=day, status=status, error=error)


def holes(
    ledger: list[Any],
    told: FirstTold | None,
    unusable: Collection[tuple[str, str, date]] = (),
    *,
    wallet: str = "FUTURES",
    never_used: Mapping[str, Collection[str]] | None = None,
    stretches: Sequence[Stretch] = (),
) -> set[date]:
    """The days on which the wallet is doubted."""
    captured, opened = {MAIN: frozenset({"SPOT", "FUTURES"})}, {MAIN: {"futures": stretches}}
    context = MappingContext(accounts={MAIN: FACTS}, symbols={}, captured=captured, opened=opened)
    first_told = {(MAIN, "SPOT"): FirstTold(stated=FIRST)}
    if told is not None:
        first_told[MAIN, wallet] = told
    rows = hidden_holes(ledger, first_told, context, FIRST, never_used=never_used or {}, unusable=unusable)
    return {row["date"] for row in rows if row["wallet"] == wallet}
