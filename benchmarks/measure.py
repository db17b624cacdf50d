"""Programs run in processes of their own and measured by the kernel's own accounting (wait4).

This process must stay small: a child's peak memory is counted from before its exec, so that what the parent holds
would be counted as the child's. So nothing here, nor in `compare`, imports more than the standard library.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parent.parent


class ChildFailedError(Exception):
    """A measured program ended with an error; its own text is on stderr."""


@dataclass(frozen=True)
class Measurement:
    """One run of one program: whole process, from its start to its end."""

    wall_s: float
    cpu_s: float
    """User and system time of the process and of those that it waited for."""
    peak_mb: float
    """The largest resident set that the process ever had."""
    others: float | None
    """The share of the machine's processor time that went to other programs meanwhile; None where it cannot be told."""
    said: dict[str, Any] = field(default_factory=dict)
    """The JSON that it printed last."""

    @property
    def call_s(self) -> float:
        """The part of `wall_s` that the program itself measured: the call alone, without starting Python."""
        return float(self.said.get("seconds", self.wall_s))


def run(module: str, *arguments: str | Path) -> Measurement:
    """Run `python -m module arguments`; ChildFailedError if it does not end with 0."""
    command = [sys.executable, "-m", module, *map(str, arguments)]
    env = os.environ | {"PYTHONPATH": str(PROJECT)}  # for processes that it starts elsewhere, installed or not
    busy_s, started = _busy_s(), time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=PROJECT, env=env)
    assert process.stdout is not None  # noqa: S101 - asked for above
    with process.stdout as pipe:
        output = pipe.read().decode()
    _, status, usage = os.wait4(process.pid, 0)
    wall_s, busy_s_after = time.perf_counter() - started, _busy_s()
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise ChildFailedError(f"{' '.join(command)} ended with {process.returncode}")
    cpu_s = usage.ru_utime + usage.ru_stime
    others = None
    if busy_s is not None and busy_s_after is not None:
        others = max(0.0, busy_s_after - busy_s - cpu_s) / (wall_s * (os.cpu_count() or 1))
    lines = output.strip().splitlines()
    said = json.loads(lines[-1]) if lines and lines[-1].startswith("{") else {}
    return Measurement(wall_s, cpu_s, usage.ru_maxrss / 1024, others, said)


def _busy_s() -> float | None:
    """Processor time of the whole machine that was not idle, since it started."""
    try:
        times = Path("/proc/stat").read_text(encoding="ascii").splitlines()[0].split()[1:9]
    except OSError:
        return None
    user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, times)
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Ratio:
    """How two programs compare: the median of the ratios of each round, and how far the rounds were apart."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, upper: Sequence[float], lower: Sequence[float]) -> Ratio:
        """Round by round, as far as both were measured: what slows the machine for a while slows both."""
        ratios = [above / below for above, below in zip(upper, lower, strict=False)]
        return cls(statistics.median(ratios), min(ratios), max(ratios))
