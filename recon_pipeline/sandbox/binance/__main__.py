"""`python -m recon_pipeline.sandbox.binance`: a sandbox as a process of its own."""

from __future__ import annotations

import argparse
import contextlib
import signal
import sys
import threading
from collections.abc import Callable, Collection, Sequence
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

from recon_pipeline.sandbox.binance.faults import FAULTS
from recon_pipeline.sandbox.binance.home import write_home
from recon_pipeline.sandbox.binance.manifest import manifest
from recon_pipeline.sandbox.binance.server import serve
from recon_pipeline.sandbox.binance.trouble import NAMES
from recon_pipeline.sandbox.binance.world import DOUBTS, FIRST_DAY, make_world

DUE = timedelta(days=2, hours=2)
"""How long after the beginning of a day it can be read: when the simulated clock begins."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Make a world, serve it, and write what a user needs to begin; runs until it is interrupted."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.at is not None and options.clock == "live":
        parser.error("--at sets a simulated clock: leave it out, or --clock live")
    world = make_world(
        options.seed, start=options.start or _first_day(options), days=options.days, subs=options.subs,
        doubts=dict(options.doubt), faults=options.faults, transport=options.transport,
    )  # fmt: skip
    _tell_unplanted(options.faults, world.plants.names)
    at = options.at or datetime.combine(world.days[-1], time(), UTC) + DUE
    with contextlib.ExitStack() as stack:
        try:
            serving = serve(world, clock=options.clock, at_us=int(at.timestamp()) * 1_000_000, port=options.port)
            sandbox = stack.enter_context(serving)
        except OSError as error:
            parser.error(f"port {options.port}: {error.strerror}; name another with --port, or 0 for any that is free")
        if options.home is not None:
            write_home(options.home, world, sandbox.url, manifest(world))
        sys.stdout.write(f"{sandbox.url}\n")
        sys.stdout.flush()
        _wait()
    return 0


def _tell_unplanted(asked: Sequence[str], planted: Sequence[str]) -> None:
    """Whoever asked for a fault would wait for it in vain, and take its absence for a proof."""
    if left_out := [name for name in asked if name not in planted]:
        sys.stderr.write(f"not planted, for want of a place: {', '.join(left_out)}; more --days make room\n")


def _first_day(options: Any) -> date:
    """With a live clock the world has to have happened until now: it begins so many days ago."""
    if options.clock == "live":
        return datetime.now(tz=UTC).date() - timedelta(days=options.days - 2)
    return FIRST_DAY


def _wait() -> None:
    done = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: done.set())
    done.wait()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="recon sandbox", description=main.__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--start", type=date.fromisoformat, help="the first day (default: 2026-01-01, or so many days ago)"
    )
    parser.add_argument("--days", type=_from(1), default=30)
    parser.add_argument("--subs", type=_from(0), default=3, help="how many sub-accounts")
    parser.add_argument("--port", type=int, default=8790, help="0: any that is free")
    parser.add_argument("--clock", choices=("live", "simulated"), default="simulated")
    parser.add_argument(
        "--at", type=_instant, help="the simulated clock begins here (default: when the last day is due)"
    )
    parser.add_argument("--home", type=Path, help="write credentials.env, recon.yaml and manifest.json here")
    parser.add_argument(
        "--doubt", type=_doubt, action="append", default=[], metavar="NAME=VALUE",
        help=", ".join(f"{name}={'|'.join(values)}" for name, values in DOUBTS.items()),
    )  # fmt: skip
    for name, every in (("--faults", FAULTS), ("--transport", NAMES)):
        known = ", ".join(every)
        parser.add_argument(name, type=_some_of(every), default=(), help=f"all, or some between commas: {known}")
    return parser


def _some_of(every: Collection[str]) -> Callable[[str], tuple[str, ...]]:
    """Names between commas; `all` for all of them."""

    def named(text: str) -> tuple[str, ...]:
        names = tuple(every) if text == "all" else tuple(name.strip() for name in text.split(",") if name.strip())
        if unknown := [name for name in names if name not in every]:
            raise argparse.ArgumentTypeError(f"{', '.join(unknown)}: none of {', '.join(every)}")
        return names

    return named


def _from(least: int) -> Callable[[str], int]:
    """A whole number that is not less."""

    def number(text: str) -> int:
        if not text.isdecimal() or int(text) < least:
            raise argparse.ArgumentTypeError(f"{text!r} is no whole number from {least} on")
        return int(text)

    return number


def _doubt(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    if value not in DOUBTS.get(name, ()):
        known = ", ".join(f"{each}={'|'.join(values)}" for each, values in DOUBTS.items())
        raise argparse.ArgumentTypeError(f"{text!r} is none of {known}")
    return name, value


def _instant(text: str) -> datetime:
    parsed = datetime.fromisoformat(text)
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)


if __name__ == "__main__":
    sys.exit(main())
