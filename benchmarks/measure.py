"""Programs run in processes of their own and measured by the kernel's own accounting (wait4).

This process must stay small: a child's peak memory is counted from before its exec, so that what the parent holds
would be counted as the child's. So nothing here, nor in `compare`, imports more than the standard library.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
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
    said: dict[str, Any] = field(default_factory=dict)
    """The JSON that it printed last."""

    @property
    def call_s(self) -> float:
        """The part of `wall_s` that the program itself measured: the call alone, without starting Python."""
        return float(self.said.get("seconds", self.wall_s))


def run(module: str, arguments: Sequence[str], env: Mapping[str, str] | None = None) -> Measurement:
    """Run `python -m module arguments`; ChildFailedError if it does not end with 0."""
    command = [sys.executable, "-m", module, *arguments]
    started = time.perf_counter()
    found = {"PYTHONPATH": str(PROJECT)}  # for processes that it starts elsewhere, installed or not
    process = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=PROJECT, env={**os.environ, **found, **(env or {})})
    assert process.stdout is not None  # noqa: S101 - asked for above
    with process.stdout as pipe:
        output = pipe.read().decode()
    _, status, usage = os.wait4(process.pid, 0)
    wall_s = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise ChildFailedError(f"{' '.join(command)} ended with {process.returncode}")
    lines = output.strip().splitlines()
    said = json.loads(lines[-1]) if lines and lines[-1].startswith("{") else {}
    return Measurement(wall_s, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, said)
