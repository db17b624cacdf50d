"""The benchmark's own foundations: its worlds are exact, and what is planted in them is found, and nothing else."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.compare import options
from benchmarks.exact import add_by, from_attos, to_amount, to_attos, to_decimals
from benchmarks.generator import generate
from benchmarks.jobs import pandas_decimal
from benchmarks.jobs.verify import verify
from benchmarks.manifest import Manifest
from benchmarks.measure import Measurement, Ratio, run
from benchmarks.plan import CAUSES
from benchmarks.report import Report, Verdict
from benchmarks.settings import as_of_day, settings_of
from benchmarks.world import Spec
from recon_pipeline.frames.schema import FRAMES, SUM
from recon_pipeline.reconcile.kernel import reconcile
from recon_pipeline.stores.lake import Lake

TINY = Spec(
    flows=4_000,
    days=14,
    positions=96,
    accounts=6,
    differences=24,
    missing_snapshots=8,
    coverage_holes=4,
    newcomers=4,
    leavers=4,
)
ATTOS_MAX = 10**36 - 1


@pytest.fixture(scope="module", params=["instant", "anywhere"])
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A reconciled world of a few thousand flows, under each kind of cut."""
    root = tmp_path_factory.mktemp(request.param)
    manifest = generate(root, replace(TINY, cut=request.param))
    lake = Lake(str(root / "lake"))
    reconcile(lake, settings_of(manifest), manifest.days, as_of_day(manifest), run="test")
    return root


def test_every_planted_difference_is_found_and_nothing_else(world: Path) -> None:
    manifest = Manifest.load(world)
    verdict = verify(Lake(str(world / "lake")), manifest)
    assert verdict.faults == []
    assert verdict.found == verdict.planted == len(manifest.differences)


def test_the_world_holds_what_the_manifest_promises(world: Path) -> None:
    manifest = Manifest.load(world)
    lake = Lake(str(world / "lake"))
    flows = pa.concat_tables(lake.read(frame, "bench").select(["asset", "amount"]) for frame in ("transfers", "trades"))
    causes = Counter(difference.cause for difference in manifest.differences)
    assert len(flows) == manifest.flows
    assert pc.min(pc.abs(flows["amount"])).as_py() == Decimal("1E-18")
    assert all(causes[cause] == TINY.differences // len(CAUSES) for cause in CAUSES)
    assert causes["misstated_taken_back"] == causes["absent_taken_back"] == causes["misstated"]
    assert {gap.discrepancy_type for gap in manifest.gaps} == {"missing_snapshot", "coverage_hole"}
    assert {gap.price_status for gap in manifest.price_gaps} == {"missing", "stale"}


def test_a_check_of_other_rows_than_planted_tells_both_ways(world: Path) -> None:
    lake, manifest = Lake(str(world / "lake")), Manifest.load(world)
    moved = replace(manifest.differences[0], variance=manifest.differences[0].variance + to_amount(1))
    verdict = verify(lake, replace(manifest, differences=[moved, *manifest.differences[1:]]))
    assert verdict.found == verdict.planted - 1
    assert [fault.split(":")[0] for fault in verdict.faults] == ["difference missed", "difference not planted"]


def test_a_snapshot_that_is_incomplete_without_a_planted_hole_counts_as_a_fault(world: Path) -> None:
    lake, manifest = Lake(str(world / "lake")), Manifest.load(world)
    verdict = verify(lake, replace(manifest, gaps=manifest.gaps[1:]))
    assert [fault.split(":")[0] for fault in verdict.faults] == ["gap not planted"]


def test_pandas_comes_to_the_same_rows_as_the_kernel(world: Path, tmp_path: Path) -> None:
    manifest = Manifest.load(world)
    pandas_decimal.reconcile(world, tmp_path / "reconciliation" / "venue=bench", manifest, batch_days=5)
    names = [name for name in FRAMES["reconciliation"].arrow.names if name != "inputs_digest"]
    expected = Lake(str(world / "lake")).read("reconciliation", "bench").select(names)
    assert Lake(str(tmp_path)).read("reconciliation", "bench").select(names).equals(expected)


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(tmp_path: Path) -> None:
    spec = replace(TINY, flows=500, days=8)
    lakes = []
    for name, seed in (("first", 1), ("again", 1), ("other", 2)):
        generate(tmp_path / name, replace(spec, seed=seed))
        lakes.append(Lake(str(tmp_path / name / "lake")))
    first, again, other = ([lake.digests(frame, "bench") for frame in FRAMES] for lake in lakes)
    assert first == again
    assert first != other
    manifests = [(tmp_path / name / "manifest.json").read_bytes() for name in ("first", "again")]
    assert manifests[0] == manifests[1]


def test_partitions_lie_in_the_order_of_the_lake(world: Path) -> None:
    lake = Lake(str(world / "lake"))
    for frame in ("transfers", "trades", "balances"):
        for day in lake.days(frame, "bench")[:4]:
            table = lake.read(frame, "bench", [day])
            assert table.equals(table.sort_by([(name, "ascending") for name in FRAMES[frame].order]))


@given(st.lists(st.integers(-ATTOS_MAX, ATTOS_MAX), min_size=1, max_size=20))
def test_limbs_become_the_same_decimals(amounts: list[int]) -> None:
    limbs = np.concatenate([from_attos(attos) for attos in amounts], axis=1)
    assert [to_attos(limbs, row) for row in range(len(amounts))] == amounts
    assert to_decimals(limbs, SUM).to_pylist() == [to_amount(attos) for attos in amounts]


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(-(10**33), 10**33)), min_size=1, max_size=50))
def test_sums_of_limbs_are_exact(rows: list[tuple[int, int]]) -> None:
    limbs = np.concatenate([from_attos(attos) for _, attos in rows], axis=1)
    sums = add_by(np.array([index for index, _ in rows]), limbs, 4)
    assert [to_attos(sums, index) for index in range(4)] == [
        sum(attos for index, attos in rows if index == wanted) for wanted in range(4)
    ]


def test_a_program_is_measured_as_a_whole_process(world: Path) -> None:
    measured = run("benchmarks.jobs.verify", world, world)
    assert measured.said["found"] == measured.said["planted"] == TINY.differences + 2 * TINY.differences // len(CAUSES)
    assert measured.cpu_s > 0
    assert measured.call_s == measured.wall_s
    assert 20 < measured.peak_mb < 2_000


def test_ratios_are_taken_round_by_round() -> None:
    assert Ratio.of([30.0, 20.0, 90.0], [10.0, 10.0, 10.0]) == Ratio(3.0, 2.0, 9.0)
    assert Ratio.of([30.0, 20.0, 90.0], [10.0]) == Ratio(3.0, 3.0, 3.0)


def test_claims_rest_on_the_faster_floor_and_say_where_they_fail() -> None:
    report = Report(
        flows=10_000_000,
        days=365,
        processors=2,
        measured={
            "floor, duckdb": [_took(2.0), _took(2.2)],
            "floor, arrow": [_took(1.0), _took(1.0)],
            "kernel, one cut": [_took(2.9), _took(2.7)],
            "pandas, Decimal": [_took(11.6)],
        },
        verdicts={"kernel, one cut": Verdict(planted=3, found=3, faults=0)},
    )
    claims = {claim.text: claim for claim in report.claims()}
    assert report.floor == "floor, arrow"
    assert claims["kernel, one cut / floor"].value == pytest.approx(2.8)
    assert claims["kernel, one cut / floor"].holds
    assert not claims["pandas with Decimal / kernel"].holds
    assert "DOES NOT HOLD" in report.text()
    assert report.is_right


def test_rows_that_are_not_right_are_a_failure_however_fast_they_came() -> None:
    missed = Verdict(planted=3, found=2, faults=1, first_faults=("difference missed: ...",))
    report = Report(1, 1, 1, {"kernel, one cut": [_took(0.1)]}, {"kernel, one cut": missed})
    assert not report.is_right
    assert "2 of 3 planted differences found, and 1 FAULTS" in report.text()


def test_batches_that_give_other_bytes_are_a_failure() -> None:
    verdicts = {
        "kernel, one cut": Verdict(planted=0, found=0, faults=0, digest="a"),
        "kernel, in batches": Verdict(planted=0, found=0, faults=0, digest="b"),
    }
    assert not Report(1, 1, 1, {}, verdicts).is_right


def test_the_five_fold_world_is_made_only_when_asked_for() -> None:
    assert "growth" not in options([]).groups
    assert "growth" in options(["--large"]).groups
    assert options(["--only", "kernel,memory"]).groups == {"kernel", "memory"}
    assert options(["--quick"]).flows == 1_000_000


def _took(seconds: float) -> Measurement:
    return Measurement(wall_s=seconds, cpu_s=seconds, peak_mb=100.0, others=0.0)
