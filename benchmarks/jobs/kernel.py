"""The kernel over a whole world: `recon_pipeline.reconcile.kernel.reconcile`, the function that `recon run` calls.

    python -m benchmarks.jobs.kernel WORLD RUN [--batch-days N] [--settle] [--forget]

RUN/lake holds the world's inputs; its reconciliation partitions are written. RUN/cache.json keeps the digests of the
inputs, as a run keeps them of what it has just written; with --forget they are found out anew. --settle also looks for
stored days that have become stale, which is how a run calls the kernel.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from pathlib import Path

from benchmarks.manifest import Manifest
from benchmarks.settings import as_of_day, settings_of
from recon_pipeline.reconcile.kernel import reconcile, reconcile_until_settled
from recon_pipeline.stores.lake import Lake


def main() -> None:
    """Reconcile every day, in one call or in batches of days one after the other."""
    parser = argparse.ArgumentParser()
    parser.add_argument("world", type=Path)
    parser.add_argument("run", type=Path)
    parser.add_argument("--batch-days", type=int, default=0)
    parser.add_argument("--settle", action="store_true")
    parser.add_argument("--forget", action="store_true")
    arguments = parser.parse_args()
    manifest = Manifest.load(arguments.world)
    settings, seen_from = settings_of(manifest), as_of_day(manifest)
    length = arguments.batch_days or len(manifest.days)
    # Between batches the state is kept as a run keeps it; one pass has no use for it.
    state_folder = arguments.run / "state" if arguments.batch_days else None
    compute = reconcile_until_settled if arguments.settle else reconcile
    statuses: Counter[str] = Counter()
    started = time.perf_counter()
    lake = Lake(str(arguments.run / "lake"), cache=None if arguments.forget else arguments.run / "cache.json")
    for first in range(0, len(manifest.days), length):
        days = manifest.days[first : first + length]
        outcome = compute(lake, settings, days, seen_from, run="benchmark", state_folder=state_folder)
        for of_day in outcome.statuses.values():
            statuses.update(of_day)
    seconds = time.perf_counter() - started
    lake.save_cache()
    print(json.dumps({"seconds": seconds, "rows": statuses.total(), "statuses": statuses}))


if __name__ == "__main__":
    main()
