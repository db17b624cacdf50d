"""The windows of a reading: whichever holds an instant ends on one of the days that are asked for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import HealthCheck, given, settings

from recon_pipeline.frames.schema import QUARANTINE
from recon_pipeline.reconcile.residuals import left_over
from recon_pipeline.venues.reading import Reading
from recon_pipeline.venues.windows import Window, Windows, days_that_close
from recon_pipeline_tests.kernel_lake import kernel_settings_of
from recon_pipeline_tests.ledgers import ledgers
from recon_pipeline_tests.oracle import Ledger
from recon_pipeline_tests.test_residuals import reading_of

MAIN = "main@example.com"
MOMENT = timedelta(microseconds=1)


def close(day: int) -> datetime:
    """The end of a day of March."""
    return datetime(2026, 3, day, tzinfo=UTC) + timedelta(days=1) - MOMENT


def balances(*stated: tuple[str, int, str]) -> Reading:
    """Balances by wallet, day and asset; of days whose asset is refused the row is in quarantine."""
    rows = [
        {"account": MAIN, "wallet": wallet, "asset": asset, "date": date(2026, 3, day), "as_of": close(day)}
        | {"read_at": close(day)}
        for wallet, day, asset in stated
    ]
    return Reading("v", {"balances": pa.Table.from_pylist(rows)}, QUARANTINE.empty_table(), (), (), (), "", {})


def refused(reading: Reading, day: int, *, account: str | None = MAIN, wallet: str | None = "SPOT") -> Reading:
    row = {"frame": "balances", "account": account, "wallet": wallet, "date": date(2026, 3, day)}
    told = {name: row.get(name, "") for name in QUARANTINE.names if QUARANTINE.field(name).type == pa.string()}
    quarantine = pa.Table.from_pylist([told | row], schema=QUARANTINE)
    return Reading("v", reading.frames, quarantine, (), (), (), "", {})


def row(asset: str, day: int, *, start: int | None, amount: str = "0", status: str = "matched") -> dict[str, Any]:
    told = {"account": MAIN, "wallet": "SPOT", "asset": asset, "date": date(2026, 3, day), "status": status}
    is_known = start is not None
    return told | {
        "window_start": close(start) if start is not None else None,
        "window_end": close(day) if is_known else None,
        "variance_in_asset": Decimal(amount) if is_known else None,
    }


def windows_of(rows: Iterable[Mapping[str, Any]], *assets: str) -> Windows:
    kinds = {"date": pa.date32(), "variance_in_asset": pa.decimal128(38, 18)}
    kinds |= dict.fromkeys(("window_start", "window_end"), pa.timestamp("us", "UTC"))
    names = ("account", "wallet", "asset", "date", "status", "window_start", "window_end", "variance_in_asset")
    table = pa.Table.from_pylist(rows, pa.schema([(name, kinds.get(name, pa.string())) for name in names]))
    return Windows(table, QUARANTINE.empty_table(), assets)


def is_in_order(ledger: Ledger, row: Mapping[str, Any]) -> bool:
    """Whether no balance of the row's wallet is stated as of a time before that of an earlier day."""
    told = [each for each in ledger.balances if (each.account, each.wallet) == (row["account"], row["wallet"])]
    return all(one.as_of <= other.as_of for one in told for other in told if one.date < other.date)


@settings(
    max_examples=12,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example],
)
@given(ledgers())
def test_the_days_that_close_an_instant_tell_of_it_what_all_days_tell(ledger: Ledger) -> None:
    reading = reading_of(ledger)
    with left_over(lambda _: kernel_settings_of(ledger), ledger.as_of_day) as left:
        rows = left.rows(reading, ledger.days)
    known = rows.filter(pc.is_valid(rows["window_start"])).to_pylist()
    assets = sorted({row["asset"] for row in known})
    whole = Windows(rows, reading.quarantine, assets)
    instants = {each + MOMENT * n for row in known for each in (row["window_start"], row["window_end"]) for n in (0, 1)}
    for place in sorted({(row["account"], row["wallet"]) for row in known if is_in_order(ledger, row)}):
        for at in sorted(instants):
            days = days_that_close(reading, {place: [at]})
            of_days = rows.filter(pc.is_in(rows["date"], pa.array(sorted(days), pa.date32())))
            few = Windows(of_days, reading.quarantine, assets)
            for asset in assets:
                assert few.holding(*place, asset, at) == whole.holding(*place, asset, at)


def test_a_window_ends_with_the_first_balance_after_the_instant_or_where_that_was_refused_with_the_next() -> None:
    place, noon = (MAIN, "SPOT"), datetime(2026, 3, 2, 12, tzinfo=UTC)
    stated = balances(("SPOT", 1, "BTC"), ("SPOT", 3, "BTC"), ("SPOT", 4, "BTC"), ("FUNDING", 2, "BTC"))
    assert days_that_close(stated, {place: [noon]}) == {date(2026, 3, 3)}
    assert days_that_close(stated, {place: [noon], (MAIN, "EARN"): [noon]}) == {date(2026, 3, 3)}
    assert days_that_close(stated, {place: [close(3), close(4)]}) == {date(2026, 3, 3), date(2026, 3, 4)}
    assert days_that_close(stated, {place: [close(4) + MOMENT]}) == set()
    both = {date(2026, 3, 3), date(2026, 3, 4)}
    assert days_that_close(refused(stated, 3), {place: [noon]}) == both
    assert days_that_close(refused(stated, 3, account=None, wallet=None), {place: [noon]}) == both
    assert days_that_close(refused(stated, 3, wallet="FUNDING"), {place: [noon]}) == {date(2026, 3, 3)}


def test_a_window_holds_its_end_and_not_its_start() -> None:
    windows = windows_of([row("BTC", 2, start=1, amount="5", status="variance"), row("BTC", 4, start=2)], "BTC")
    held = Window(MAIN, "SPOT", "BTC", date(2026, 3, 2), close(1), close(2), Decimal(5), True)
    for at, days in ((close(1), None), (close(1) + MOMENT, 2), (close(2), 2), (close(2) + MOMENT, 4), (close(4), 4)):
        found = windows.holding(MAIN, "SPOT", "BTC", at)
        assert (found and found.day.day) == days
    assert windows.holding(MAIN, "SPOT", "BTC", close(2)) == held
    assert windows.holding(MAIN, "SPOT", "BTC", close(4) + MOMENT) is None
    assert windows.holding(MAIN, "FUNDING", "BTC", close(2)) is None


@pytest.mark.parametrize(("status", "is_closed"), [("matched", True), ("incomplete", False), ("pending", False)])
def test_what_a_snapshot_leaves_out_and_nothing_moved_is_explained_if_the_wallet_was_read(
    status: str, is_closed: bool
) -> None:
    windows = windows_of([row("BTC", 2, start=1, status=status)], "ETH")
    found = windows.holding(MAIN, "SPOT", "ETH", close(2))
    assert found == Window(MAIN, "SPOT", "ETH", date(2026, 3, 2), close(1), close(2), Decimal(0), is_closed)


def test_what_a_refused_balance_would_have_said_is_not_known() -> None:
    rows = [row("BTC", 2, start=1), row("ETH", 2, start=None, status="incomplete")]
    assert windows_of(rows, "ETH").holding(MAIN, "SPOT", "ETH", close(2)) is None
    later = row("ETH", 3, start=1, amount="7", status="variance")
    found = windows_of([*rows, row("BTC", 3, start=2), later], "ETH").holding(MAIN, "SPOT", "ETH", close(2))
    assert found is not None
    assert (found.day, found.amount) == (date(2026, 3, 3), Decimal(7))
