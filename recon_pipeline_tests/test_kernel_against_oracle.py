"""The kernel against the oracle, cell by cell, on random ledgers; and that only what the lake holds decides its rows.

RECON_EXAMPLES sets how many ledgers each property is tried on (the default suits every run of the tests; thousands
suit a night).
"""

from __future__ import annotations

import itertools
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st

from recon_pipeline.frames.registry import BUCKET_BY_SUBTYPE
from recon_pipeline.reconcile.kernel import AmountOverflowError, reconcile, reconcile_until_settled
from recon_pipeline.stores.lake import Lake
from recon_pipeline_tests import oracle
from recon_pipeline_tests.kernel_lake import kernel_settings_of, store, stored_bytes, stored_rows
from recon_pipeline_tests.ledgers import LARGEST, SUBTYPES, earlier_states, ledgers, moment
from recon_pipeline_tests.oracle import Ledger
from recon_pipeline_tests.planted import faults, planted_ledger
from recon_pipeline_tests.stories import disagreements, story

EXAMPLES = int(os.environ.get("RECON_EXAMPLES", "30"))
SHOWN = 12


def tried(share: float) -> settings:
    """Hypothesis settings for a property that deserves this share of the examples."""
    return settings(
        max_examples=max(5, int(EXAMPLES * share)),
        deadline=None,
        derandomize="RECON_EXAMPLES" not in os.environ,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example],
        phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
    )


@contextmanager
def new_lake() -> Iterator[Lake]:
    with tempfile.TemporaryDirectory() as folder:
        yield Lake(str(Path(folder) / "lake"))


def run(lake: Lake, ledger: Ledger, days: Sequence[date] | None = None) -> None:
    asked = ledger.days if days is None else days
    reconcile(lake, kernel_settings_of(ledger), asked, ledger.as_of_day, run="test")


def settle(lake: Lake, ledger: Ledger, days: Sequence[date] = ()) -> None:
    reconcile_until_settled(lake, kernel_settings_of(ledger), days, ledger.as_of_day, run="test")


def assert_same(ledger: Ledger, lake: Lake, expected: dict[date, list[oracle.Row]]) -> None:
    """Fail with what differs, cell by cell, and the story of the account that it happened to."""
    found = stored_rows(lake, ledger.settings.venue, ledger.days)
    lines = disagreements(expected, found)
    if lines:
        shown = [*lines[:SHOWN], *([f"... and {len(lines) - SHOWN} more"] if len(lines) > SHOWN else [])]
        pytest.fail("\n".join(("the kernel disagrees with the oracle", *shown, "", story(ledger))), pytrace=False)


def test_oracle_and_registry_know_the_same_subtypes() -> None:
    buckets = dict(oracle.BUCKET_OF_SUBTYPE)
    for subtype in {name for names in SUBTYPES.values() for name in names} - {"unknown"}:
        assert BUCKET_BY_SUBTYPE[subtype] == buckets[subtype]
    assert BUCKET_BY_SUBTYPE["unknown"] is None


@tried(1.0)
@given(ledgers())
def test_kernel_agrees_with_the_oracle_in_every_cell(ledger: Ledger) -> None:
    with new_lake() as lake:
        store(lake, ledger)
        run(lake, ledger)
        assert_same(ledger, lake, oracle.reconcile(ledger))


@tried(0.2)
@given(ledgers(), st.data())
def test_days_in_any_order_and_batching_end_in_the_same_bytes(ledger: Ledger, data: st.DataObject) -> None:
    with new_lake() as at_once, new_lake() as in_batches:
        store(at_once, ledger)
        run(at_once, ledger)
        store(in_batches, ledger)
        order = data.draw(st.permutations(ledger.days), label="order")
        cuts = sorted(data.draw(st.sets(st.integers(1, len(order)), max_size=4), label="cuts") | {0, len(order)})
        for begin, end in itertools.pairwise(cuts):
            run(in_batches, ledger, order[begin:end])
        settle(in_batches, ledger)
        note(story(ledger))
        assert_same(ledger, in_batches, stored_rows(at_once, ledger.settings.venue, ledger.days))
        assert stored_bytes(in_batches, ledger.settings.venue) == stored_bytes(at_once, ledger.settings.venue)


def test_what_is_not_realised_is_shown_as_stated_and_as_recomputed_and_decides_nothing() -> None:
    cent, far = Decimal("-1.26"), Decimal(900_000)
    figures = [(None, None), (None, cent), (Decimal("-1.25"), cent), (Decimal("-1.25"), far), (cent, None)]
    balances = []
    for day, (stated, marked) in enumerate(figures):
        at = moment(day, timedelta(0))
        balance = oracle.Balance("ann", "FUTURES", "USDT", at, at.date(), "s", at, Decimal(5))
        balances.append(replace(balance, raw_unrealised_pnl=stated, marked_unrealised_pnl=marked))
    days = tuple(balance.date for balance in balances)
    first, last = balances[0].as_of, balances[-1].as_of
    ledger = Ledger(
        settings=oracle.Settings(start=days[0], measures=("loan", "interest")),
        as_of_day=date(2026, 4, 1),
        days=days,
        balances=tuple(balances),
        flow_partitions=frozenset((frame, day) for frame in oracle.FLOW_FRAMES for day in days),
        coverage=(oracle.Coverage("ann", "*", None, first - timedelta(days=1), last, "complete"),),
    )
    with new_lake() as lake:
        store(lake, ledger)
        run(lake, ledger)
        rows = [row for of_day in stored_rows(lake, ledger.settings.venue, ledger.days).values() for row in of_day]
        assert [row.status for row in rows] == ["opening", "matched", "matched", "matched", "matched"]
        shown = [(row.unrealised_pnl_actual, row.unrealised_pnl_calculated) for row in rows]
        assert shown == figures
        assert_same(ledger, lake, oracle.reconcile(ledger))


@tried(0.1)
@given(ledgers())
def test_what_is_recomputed_of_unrealised_pnl_decides_nothing(ledger: Ledger) -> None:
    def without(rows: dict[date, list[oracle.Row]]) -> dict[date, list[oracle.Row]]:
        return {day: [replace(row, unrealised_pnl_calculated=None) for row in of_day] for day, of_day in rows.items()}

    bare = replace(ledger, balances=tuple(replace(b, marked_unrealised_pnl=None) for b in ledger.balances))
    with new_lake() as lake, new_lake() as other:
        store(lake, ledger)
        run(lake, ledger)
        store(other, bare)
        run(other, bare)
        venue = ledger.settings.venue
        assert without(stored_rows(lake, venue, ledger.days)) == stored_rows(other, venue, ledger.days)


@pytest.mark.parametrize("every", [1, 2])
def test_balances_whose_files_are_older_than_a_column_are_read_beside_newer_ones(every: int) -> None:
    ledger, _ = planted_ledger(0)
    with new_lake() as lake:
        store(lake, ledger)
        for path in sorted(Path(lake.url).glob("balances/**/*.parquet"))[every - 1 :: every]:
            pq.write_table(pq.ParquetFile(path).read().drop_columns(["marked_unrealised_pnl"]), path)
        run(lake, ledger)
        assert_same(ledger, lake, oracle.reconcile(ledger))


@tried(0.1)
@given(ledgers())
def test_running_twice_changes_nothing(ledger: Ledger) -> None:
    with new_lake() as lake:
        store(lake, ledger)
        run(lake, ledger)
        before = stored_bytes(lake, ledger.settings.venue)
        outcome = reconcile(lake, kernel_settings_of(ledger), ledger.days, ledger.as_of_day, run="again")
        assert outcome.changed == ()
        assert stored_bytes(lake, ledger.settings.venue) == before


@pytest.mark.soak
@tried(0.4)
@given(ledgers(), st.data())
def test_what_was_late_changed_or_removed_ends_as_if_it_had_always_been_so(ledger: Ledger, data: st.DataObject) -> None:
    """Only the stale days are run again after the inputs have changed, back and forth between two states."""
    earlier = data.draw(earlier_states(ledger), label="earlier")
    states = data.draw(st.sampled_from(((earlier, ledger), (ledger, earlier))), label="order")
    note(f"before:\n{story(states[0])}\nthen:\n{story(states[1])}")
    with new_lake() as lake, new_lake() as always:
        store(lake, states[0])
        run(lake, states[0])
        store(lake, states[1])
        settle(lake, states[1])
        store(always, states[1])
        run(always, states[1])
        assert_same(ledger, lake, oracle.reconcile(states[1]))
        assert stored_bytes(lake, ledger.settings.venue) == stored_bytes(always, ledger.settings.venue)


@pytest.mark.parametrize("seed", range(max(1, EXAMPLES // 75)))
def test_every_planted_difference_is_found_and_nothing_else_is(seed: int) -> None:
    ledger, manifest = planted_ledger(seed)
    assert faults(oracle.reconcile(ledger), manifest) == []
    with new_lake() as lake:
        store(lake, ledger)
        run(lake, ledger)
        assert faults(stored_rows(lake, ledger.settings.venue, ledger.days), manifest) == []


def test_difference_that_nobody_planted_and_one_that_nobody_found_are_both_faults() -> None:
    ledger, manifest = planted_ledger(0)
    rows = oracle.reconcile(ledger)
    (day, position), mark = next(iter(manifest.items()))
    others = {key: other for key, other in manifest.items() if key != (day, position)}
    assert len(faults(rows, others)) == 1
    elsewhere = others | {(day + timedelta(days=1), position): mark}
    assert len(faults(rows, elsewhere)) == 2


@pytest.mark.parametrize("sign", [1, -1])
def test_sum_beyond_its_column_is_refused_by_name_and_nothing_is_written(sign: int) -> None:
    """Flows of one window whose sum has 21 digits before the point: no wrong number, no row, a named error."""
    amount = LARGEST if sign > 0 else LARGEST.copy_negate()
    close = moment(0, timedelta(0)), moment(1, timedelta(0))
    balances = [oracle.Balance("ann", "SPOT", "BTC", at, at.date(), "s", at, Decimal(0)) for at in close]
    flow = oracle.Flow("transfers", "ann", "SPOT", "BTC", close[1], "transfer_in", amount)
    ledger = Ledger(
        settings=oracle.Settings(start=close[0].date()),
        as_of_day=date(2026, 4, 1),
        days=tuple(at.date() for at in close),
        balances=tuple(balances),
        flows=(flow,) * 101,
        flow_partitions=frozenset((frame, at.date()) for frame in oracle.FLOW_FRAMES for at in close),
    )
    with pytest.raises(oracle.SumOverflowError):
        oracle.reconcile(ledger)
    with new_lake() as lake:
        store(lake, ledger)
        with pytest.raises(AmountOverflowError, match="most of all ann, SPOT, BTC"):
            run(lake, ledger)
        assert lake.days("reconciliation", ledger.settings.venue) == []


def told_ledger(*, flow_on: int | None, refused_on: Sequence[int], days: int = 5) -> Ledger:
    """A wallet that states USD each day and BTC on the last only; what it leaves out on `refused_on` is not known."""
    at = [moment(day, timedelta(0)) for day in range(days)]
    stated = [("USD", close, Decimal(1)) for close in at] + [("BTC", at[-1], Decimal(2))]
    flows = () if flow_on is None else (moment(flow_on, -timedelta(hours=6)),)
    return Ledger(
        settings=oracle.Settings(start=at[0].date()),
        as_of_day=date(2026, 4, 1),
        days=tuple(close.date() for close in at),
        balances=tuple(oracle.Balance("ann", "SPOT", a, t, t.date(), "s", t, amount) for a, t, amount in stated),
        flows=tuple(oracle.Flow("transfers", "ann", "SPOT", "BTC", t, "transfer_in", Decimal(2)) for t in flows),
        flow_partitions=frozenset((frame, close.date()) for frame in oracle.FLOW_FRAMES for close in at),
        quarantine=tuple(
            oracle.Quarantined("balances", account="ann", wallet="SPOT", date=at[day].date()) for day in refused_on
        ),
    )


@pytest.mark.parametrize("refused_on", [(1,), (0, 1), (0, 1, 2, 3), (1, 2, 3)])
@pytest.mark.parametrize("flow_on", [None, 1, 2, 3])
def test_what_a_flow_told_of_and_nothing_states_has_its_row_on_every_day(
    flow_on: int | None, refused_on: tuple[int, ...]
) -> None:
    """Whether the money that came in is there cannot be told: `incomplete`; but no row before anything told of it."""
    ledger = told_ledger(flow_on=flow_on, refused_on=refused_on)
    expected = oracle.reconcile(ledger)
    with new_lake() as lake, new_lake() as backwards:
        store(lake, ledger)
        run(lake, ledger)
        assert_same(ledger, lake, expected)
        store(backwards, ledger)
        for day in reversed(ledger.days):
            run(backwards, ledger, [day])
        settle(backwards, ledger)
        assert stored_bytes(backwards, ledger.settings.venue) == stored_bytes(lake, ledger.settings.venue)
