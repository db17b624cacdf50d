"""The measurements as a table, as claims with their limits, and as JSON."""

from __future__ import annotations

import json
import platform
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Any

from benchmarks.measure import Measurement, Ratio

FLOORS = ("floor, duckdb", "floor, arrow")
FEW_RECORDS, MANY_RECORDS = "records, ten accounts", "records, a hundred"
CLAIMED_AT = (10_000_000, 365)
LIBRARIES = ("duckdb", "pyarrow", "pandas", "dagster")
OTHERS_MAX = 0.1
"""From this share of the processors on, the report says that other programs were running."""

Measured = Mapping[str, Sequence[Measurement]]


@dataclass(frozen=True)
class Verdict:
    """What was planted in a world, how much of it came out, and what came out besides or otherwise."""

    planted: int
    found: int
    faults: int
    first_faults: tuple[str, ...] = ()
    digest: str = ""

    @classmethod
    def of(cls, said: Mapping[str, Any]) -> Verdict:
        """From what `verify` prints."""
        return cls(
            said["planted"], said["found"], said["faults"], tuple(said.get("first_faults", ())), said.get("digest", "")
        )

    @property
    def is_right(self) -> bool:
        """Everything was found, and nothing else."""
        return self.found == self.planted and not self.faults


@dataclass(frozen=True)
class Claim:
    """A figure that was set a limit."""

    text: str
    unit: str
    value: float
    least: float
    most: float
    limit: float
    at_most: bool = True

    @property
    def holds(self) -> bool:
        """Whether the median keeps to the limit."""
        return self.value <= self.limit if self.at_most else self.value >= self.limit


@dataclass(frozen=True)
class Report:
    """Everything that was measured in one call."""

    flows: int
    days: int
    processors: int
    measured: Measured
    verdicts: Mapping[str, Verdict]

    @property
    def is_right(self) -> bool:
        """Whether every run found what was planted and nothing else, batches gave the bytes of one pass, and
        ten times the accounts ten times the rows."""
        told = self.batches_agree, self.records_agree
        return all(verdict.is_right for verdict in self.verdicts.values()) and False not in told

    @property
    def batches_agree(self) -> bool | None:
        """Whether the rows of batches are those of one pass, byte for byte; None if either did not run."""
        whole, batches = self.verdicts.get("kernel, one cut"), self.verdicts.get("kernel, in batches")
        return whole.digest == batches.digest if whole and batches else None

    @property
    def records_agree(self) -> bool | None:
        """Whether ten times the accounts gave ten times the rows; None if they were not read."""
        few, many = ({m.said["rows"] for m in self.measured.get(name, ())} for name in (FEW_RECORDS, MANY_RECORDS))
        return many == {10 * rows for rows in few} if few and many else None

    @property
    def floor(self) -> str | None:
        """The faster of the floors."""
        medians = {name: _median(self.measured[name], _wall) for name in FLOORS if name in self.measured}
        return min(medians, key=lambda name: medians[name]) if medians else None

    def claims(self) -> Iterator[Claim]:
        """The figures with limits, as far as they were measured."""
        one_cut, floor = "kernel, one cut", self.floor or ""
        yield from self._ratio("kernel, one cut / floor", one_cut, floor, 3.0)
        yield from self._ratio("kernel, cut anywhere / floor", "kernel, cut anywhere", floor, 4.5)
        yield from self._ratio("pandas with Decimal / kernel", "pandas, Decimal", one_cut, 7.0, at_most=False)
        yield from self._value("peak memory, dense days", "MB", "kernel, dense days", lambda m: m.peak_mb, 350)
        yield from self._ratio("five times the flows / one", "kernel, five times the flows", one_cut, 5.5)
        yield from self._ratio("in batches of 30 days / one pass", "kernel, in batches", one_cut, 1.2)
        names = ("postgres, publish", "postgres, to_sql")
        yield from self._ratio("rows a second, publish / to_sql", *names, 5.0, of=_rows_per_s, at_most=False)
        yield from self._ratio(
            "records of 100 accounts / of 10", MANY_RECORDS, FEW_RECORDS, 10.5, of=lambda m: m.call_s
        )
        yield from self._ratio("their peak memory", MANY_RECORDS, FEW_RECORDS, 10.0, of=lambda m: m.peak_mb)
        yield from self._value("a year through Dagster", "s", "year, dagster", lambda m: m.call_s, 60)
        yield from self._value("one day, launched alone", "s", "year, dagster", lambda m: float(m.said["one_day_s"]), 5)

    def _ratio(
        self,
        text: str,
        upper: str,
        lower: str,
        limit: float,
        *,
        of: Callable[[Measurement], float] | None = None,
        at_most: bool = True,
    ) -> Iterator[Claim]:
        if upper in self.measured and lower in self.measured:
            figure = of or _wall
            ratio = Ratio.of([figure(m) for m in self.measured[upper]], [figure(m) for m in self.measured[lower]])
            yield Claim(text, "x", ratio.median, ratio.least, ratio.most, limit, at_most)

    def _value(
        self, text: str, unit: str, name: str, of: Callable[[Measurement], float], limit: float
    ) -> Iterator[Claim]:
        if name in self.measured:
            values = [of(m) for m in self.measured[name]]
            yield Claim(text, unit, statistics.median(values), min(values), max(values), limit)

    def text(self) -> str:
        """For people."""
        return "\n".join(
            [
                f"{self.flows:,} flows, {self.days} days, {self.processors} processors, {_software()}",
                "",
                *self._table(),
                "",
                *self._claims_text(),
                *self._dagster_text(),
                "",
                *self._verdicts_text(),
                *self._noise_text(),
            ]
        )

    def _table(self) -> Iterator[str]:
        yield f"{'':30} {'runs':>4} {'wall s':>8} {'(least - most)':>17} {'call s':>8} {'cpu s':>8} {'peak MB':>8}"
        for name, runs in self.measured.items():
            walls = [m.wall_s for m in runs]
            spread = f"({min(walls):.2f} - {max(walls):.2f})"
            figures = [_median(runs, of) for of in (_wall, lambda m: m.call_s, lambda m: m.cpu_s, lambda m: m.peak_mb)]
            yield (
                f"{name:30} {len(runs):4} {figures[0]:8.2f} {spread:>17} {figures[1]:8.2f} {figures[2]:8.2f}"
                f" {figures[3]:8.0f}"
            )

    def _claims_text(self) -> Iterator[str]:
        if self.floor:
            yield f"the floor is '{self.floor}', the faster of the two"
        if (self.flows, self.days) != CLAIMED_AT:
            yield f"the limits are meant for {CLAIMED_AT[0]:,} flows over {CLAIMED_AT[1]} days"
        for claim in self.claims():
            bound = "at most" if claim.at_most else "at least"
            spread = f"({claim.least:.2f} - {claim.most:.2f})"
            verdict = "holds" if claim.holds else "DOES NOT HOLD"
            measured = f"{claim.value:9.2f} {claim.unit:2} {spread:>19}"
            yield f"{claim.text:34} {measured}   {bound} {claim.limit:g}: {verdict}"

    def _dagster_text(self) -> Iterator[str]:
        if "year, dagster" not in self.measured or "year, plain" not in self.measured:
            return
        total = _median(self.measured["year, dagster"], lambda m: m.call_s)
        plain = _median(self.measured["year, plain"], lambda m: m.call_s)
        own = f"Dagster's own: {max(0.0, 1 - plain / total):.0%}"
        yield f"of the {total:.1f} s through Dagster, the same run takes {plain:.1f} s without it; {own}"
        parts = {
            "until the daemon had asked for a run": "until_launched_s",
            "until it had started": "until_started_s",
            "inside the run": "in_runs_s",
            "until the last row stood": "until_rows_stood_s",
        }
        for text, key in parts.items():
            seconds = statistics.median(float(m.said[key]) for m in self.measured["year, dagster"])
            yield f"  {text}: {seconds:.1f} s"

    def _verdicts_text(self) -> Iterator[str]:
        for name, verdict in self.verdicts.items():
            word = "nothing else" if verdict.is_right else f"{verdict.faults} FAULTS"
            yield f"{name:30} {verdict.found} of {verdict.planted} planted differences found, and {word}"
            yield from (f"    {fault}" for fault in verdict.first_faults)
        for run in self.measured.get(MANY_RECORDS, ())[:1]:
            word = "" if self.records_agree else "NOT "
            yield f"{run.said['records']:,} records of a hundred accounts gave {word}ten times the rows of ten"
        if self.batches_agree is not None:
            yield f"the rows of batches are {'' if self.batches_agree else 'NOT '}those of one pass, byte for byte"

    def _noise_text(self) -> Iterator[str]:
        # What a program leaves to a server or to daemons counts as others' time, so those lines are left out.
        of_servers = ("postgres", "year", "records")
        quiet = [m.others for name, runs in self.measured.items() if not name.startswith(of_servers) for m in runs]
        worst = max((share for share in quiet if share is not None), default=0.0)
        if worst > OTHERS_MAX:
            yield f"other programs took up to {worst:.0%} of the processors meanwhile: measure again on a quiet machine"

    def json(self) -> str:
        """For programs: every measurement, every claim."""
        whole = {
            "flows": self.flows,
            "days": self.days,
            "processors": self.processors,
            "software": _software(),
            "floor": self.floor,
            "claims": [asdict(claim) | {"holds": claim.holds} for claim in self.claims()],
            "verdicts": {name: asdict(verdict) for name, verdict in self.verdicts.items()},
            "batches_agree": self.batches_agree,
            "measured": {
                name: [asdict(m) | {"call_s": m.call_s} for m in runs] for name, runs in self.measured.items()
            },
        }
        return json.dumps(whole, indent=1) + "\n"


def _wall(measurement: Measurement) -> float:
    return measurement.wall_s


def _rows_per_s(measurement: Measurement) -> float:
    return float(measurement.said["rows"]) / measurement.call_s


def _median(runs: Sequence[Measurement], of: Callable[[Measurement], float]) -> float:
    return statistics.median(of(m) for m in runs)


def _software() -> str:
    return ", ".join([f"Python {platform.python_version()}", *(f"{name} {version(name)}" for name in LIBRARIES)])
