"""The table of the streams on MAPPING.md, made from the code so that it cannot drift.

`python -m recon_pipeline.venues.binance.streams.page` writes it anew.
"""

from __future__ import annotations

from pathlib import Path

from recon_pipeline.venues.binance.streams import STREAMS
from recon_pipeline.venues.streams import Paging, Stream, Window

PAGE = Path(__file__).parent.parent / "MAPPING.md"
BEGIN, END = "<!-- streams: begin -->", "<!-- streams: end -->"
_COLUMNS = (
    "stream",
    "role",
    "wallets",
    "endpoint",
    "weight",
    "asked for at once",
    "reach",
    "a full answer",
    "lag",
    "late",
    "settles",
    "shape",
)


def _days(window: Window) -> str:
    days = window.longest.total_seconds() / 86_400
    return f"{round(days)} d" if abs(days - round(days)) > 1e-9 or days < 3_650 else "from a start"


def _window(window: Window | None) -> str:
    if window is None:
        return "all"
    text = _days(window)
    below = "under " if window.longest.total_seconds() % 86_400 else ""
    return f"{below}{text}, end exclusive" if window.is_end_exclusive else f"{below}{text}"


def _paging(paging: Paging) -> str:
    how = {"none": "", "page": ", pages", "offset": ", offset", "from_id": ", from id", "bisect": ", halves"}
    return f"{paging.size}{how[paging.kind]}" if paging.size else "all"


def _line(stream: Stream) -> str:
    endpoint = stream.endpoint
    days = stream.window.retention if stream.window else None
    reach = f"{days.days} d" if days else f"last {stream.tells_last}" if stream.tells_last else "–"
    values = (
        f"`{stream.name}`",
        stream.role + (", by the master" if stream.asked_with == "master" else ""),
        " ".join(stream.wallets) or "–",
        f"`{endpoint.path}`",
        f"{endpoint.weight} {'IP' if endpoint.bucket.per == 'ip' else 'UID'}",
        _window(stream.window),
        reach,
        _paging(stream.paging),
        f"{stream.lag_minutes} min",
        f"{stream.horizon_days} d",
        f"{stream.settles_within_days} d" if stream.settles_within_days else "–",
        "sample" if stream.is_verified else "shape unverified",
    )
    return f"| {' | '.join(values)} |"


def table() -> str:
    """The table, with what encloses it."""
    lines = [f"| {' | '.join(_COLUMNS)} |", f"|{'---|' * len(_COLUMNS)}", *(_line(stream) for stream in STREAMS)]
    return "\n".join([BEGIN, *lines, END])


def with_table(page: str) -> str:
    """The page with the table as it should be."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return before + table() + after


if __name__ == "__main__":
    PAGE.write_text(with_table(PAGE.read_text()))
