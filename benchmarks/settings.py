"""The kernel's settings for a generated world."""

from __future__ import annotations

from datetime import date, timedelta

from benchmarks.manifest import Manifest
from benchmarks.plan import STREAMS
from benchmarks.world import Spec
from recon_pipeline.config import ToleranceRule
from recon_pipeline.reconcile.settings import KernelSettings

LATER_DAYS = 60


def settings_of(manifest: Manifest) -> KernelSettings:
    """One venue, both streams, an expected snapshot every day, one tolerance for all."""
    return KernelSettings(
        venue=manifest.venue,
        streams=tuple(sorted(STREAMS)),
        start=manifest.days[0],
        tolerance_rules=(ToleranceRule(None, None, Spec.tolerance, 6),),
    )


def as_of_day(manifest: Manifest) -> date:
    """A day from which everything in the world is due."""
    return manifest.days[-1] + timedelta(days=LATER_DAYS)
