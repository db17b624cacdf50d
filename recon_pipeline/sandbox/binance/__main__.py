"""`python -m recon_pipeline.sandbox.binance`: a sandbox as a process of its own."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from collections.abc import Collection, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from recon_pipeline.sandbox.binance.faults import FAULTS
from recon_pipeline.sandbox.binance.home import write_home
from recon_pipeline.sandbox.binance.manifest import manifest
from recon_pipeline.sandbox.binance.server import serve
from recon_pipeline.sandbox.binance.trouble import NAMES
from recon_pipeline.sandbox.binance.world import DOUBTS, FIRST_DAY, make_world


def main(arguments: Sequence[str] | None = None) -> int:
    """Make a world, serve it, and write what a user needs to begin; runs until it is interrupted."""
    options = _parser().parse_args(arguments)
    world = make_world(
        options.seed, start=options.start or _first_day(options), days=options.days, subs=options.subs,
        doubts=dict(options.doubt), faults=_named(options.faults, FAULTS),
        transport=_named(options.transport, NAMES),
    )  # fmt: skip
    at_us = int(options.at.timestamp() * 1_000_000) if options.at else None
    with serve(world, clock=options.clock, at_us=at_us, port=options.port) as sandbox:
        if options.home is not None:
            write_home(options.home, world, sandbox.url, manifest(world))
        sys.stdout.write(f"{sandbox.url}\n")
        sys.stdout.flush()
        _wait()
    return 0


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
    parser = argparse.ArgumentParser(prog="python -m recon_pipeline.sandbox.binance", description=main.__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--start", type=date.fromisoformat, help="the first day (default: 2026-01-01, or so many days ago)"
    )
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--subs", type=int, default=3, help="how many sub-accounts")
    parser.add_argument("--port", type=int, default=8790, help="0: any that is free")
    parser.add_argument("--clock", choices=("live", "simulated"), default="simulated")
    parser.add_argument("--at", type=_instant, help="the simulated clock begins here (default: with the first day)")
    parser.add_argument("--home", type=Path, help="write credentials.env, recon.yaml and manifest.json here")
    parser.add_argument(
        "--doubt", type=_doubt, action="append", default=[], metavar="NAME=VALUE",
        help=", ".join(f"{name}={'|'.join(values)}" for name, values in DOUBTS.items()),
    )  # fmt: skip
    parser.add_argument("--faults", default="", help=f"all, or some between commas: {', '.join(FAULTS)}")
    parser.add_argument("--transport", default="", help=f"all, or some between commas: {', '.join(NAMES)}")
    return parser


def _named(text: str, every: Collection[str]) -> tuple[str, ...]:
    """Names between commas; `all` for all of them."""
    return tuple(every) if text == "all" else tuple(name for name in text.split(",") if name)


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
