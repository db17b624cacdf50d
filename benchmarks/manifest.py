"""What a generated world holds on purpose, and the check that a reconciliation found that and nothing else."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from datetime import date
from decimal import Decimal
from pathlib import Path

MANIFEST_NAME = "manifest.json"


@dataclass(frozen=True, order=True)
class Difference:
    """A row that must come out with this variance; `cause` says what was done to the world."""

    date: date
    account: str
    wallet: str
    asset: str
    cause: str
    status: str
    discrepancy_type: str
    variance: Decimal


@dataclass(frozen=True, order=True)
class Gap:
    """A wallet's day whose rows must all be `incomplete`, for this reason."""

    date: date
    account: str
    wallet: str
    discrepancy_type: str


@dataclass(frozen=True, order=True)
class PriceGap:
    """An asset's day whose rows must have this price_status."""

    date: date
    asset: str
    price_status: str


@dataclass
class Manifest:
    """Everything planted, and the number of rows that must come out of each day."""

    venue: str
    accounts: int
    positions: int
    flows: int = 0
    days: list[date] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)
    differences: list[Difference] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    price_gaps: list[PriceGap] = field(default_factory=list)

    def save(self, root: Path) -> None:
        """Write `manifest.json` into `root`; amounts and dates as text."""
        (root / MANIFEST_NAME).write_text(json.dumps(asdict(self), default=str, indent=1) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, root: Path) -> Manifest:
        """Read what `save` wrote."""
        raw = json.loads((root / MANIFEST_NAME).read_text(encoding="utf-8"))
        day = date.fromisoformat
        return cls(
            venue=raw["venue"],
            accounts=raw["accounts"],
            positions=raw["positions"],
            flows=raw["flows"],
            days=[day(text) for text in raw["days"]],
            rows=raw["rows"],
            differences=[
                Difference(**{**row, "date": day(row["date"]), "variance": Decimal(row["variance"])})
                for row in raw["differences"]
            ],
            gaps=[Gap(**{**row, "date": day(row["date"])}) for row in raw["gaps"]],
            price_gaps=[PriceGap(**{**row, "date": day(row["date"])}) for row in raw["price_gaps"]],
        )
