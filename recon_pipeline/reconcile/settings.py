"""The settings of one venue that enter a reconciliation row."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from datetime import date
from functools import cached_property

from recon_pipeline.config import Opening, Settings, Severities, ToleranceRule
from recon_pipeline.frames.registry import BUCKET_BY_SUBTYPE
from recon_pipeline.frames.schema import FLOW_FRAMES


@dataclass(frozen=True)
class KernelSettings:
    """What the kernel must know of a venue beside its frames.

    `streams` are those that can move a wallet here: of a venue of statements transfers, trades, both or none (an
    informational venue); of an API its own streams, of which `families` says whom each moves.
    """

    venue: str
    streams: tuple[str, ...]
    start: date
    calendar: str = "daily"
    due_days: int = 1
    tolerance_rules: tuple[ToleranceRule, ...] = ()
    severities: Severities = field(default_factory=Severities)
    openings: tuple[Opening, ...] = ()
    price_sources: tuple[str, ...] = ()
    measures: tuple[str, ...] = ("balance",)
    families: tuple[tuple[str, str], ...] = ()
    """(stream, the part before a colon of a wallet's name that it can move); a stream of none can move every wallet."""

    @property
    def moved_by(self) -> tuple[tuple[str, str | None], ...]:
        """Every stream with each family of wallets that it can move, None for all."""
        named = {stream for stream, _ in self.families}
        return (*self.families, *((stream, None) for stream in self.streams if stream not in named))

    @property
    def flow_frames(self) -> tuple[str, ...]:
        """The frames whose partitions hold what the streams tell of; one that was never written is a hole."""
        frames = tuple(frame.name for frame in FLOW_FRAMES)
        named = tuple(frame for frame in frames if frame in self.streams)
        return named if len(named) == len(self.streams) else frames

    @cached_property
    def digest(self) -> str:
        """sha256 over what enters a row: neither `start`, which only says which rows there are, nor any clock."""
        entering = asdict(self)
        del entering["start"]
        entering["openings"] = sorted((o.account, o.wallet, str(o.date)) for o in self.openings)
        entering["buckets"] = sorted((subtype, str(bucket)) for subtype, bucket in BUCKET_BY_SUBTYPE.items())
        return hashlib.sha256(json.dumps(entering, sort_keys=True, default=str).encode()).hexdigest()


def kernel_settings(
    settings: Settings, venue: str, streams: tuple[str, ...], families: tuple[tuple[str, str], ...] = ()
) -> KernelSettings:
    """The kernel's settings of a venue, from recon.yaml and from the streams that its reading found."""
    of_venue = settings.venues[venue]
    return KernelSettings(
        venue=venue,
        streams=tuple(sorted(streams)),
        start=of_venue.start,
        calendar=of_venue.calendar,
        due_days=of_venue.due_days,
        tolerance_rules=settings.tolerances.rules(venue),
        severities=settings.severities,
        openings=tuple(opening for opening in settings.openings if opening.venue == venue),
        price_sources=of_venue.price_sources,
        measures=of_venue.measures,
        families=tuple(sorted(families)),
    )
