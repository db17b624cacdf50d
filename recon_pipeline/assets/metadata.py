"""What the UI shows beside an asset: column schemas, tables of rows, and a small plot.

The plot is SVG, written here: a plotting library would take a second of each run to import.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import dagster as dg

from recon_pipeline.frames.schema import Column, Frame
from recon_pipeline.reconcile.findings import DayFindings
from recon_pipeline.stores.models import Model

_COLOURS = {
    "matched": "#3c9d6b", "opening": "#8fc9ac", "informational": "#b9c4cc", "pending": "#9db4e0",
    "timing": "#e3c464", "incomplete": "#e08e45", "variance": "#c8453b",
}  # fmt: skip
_PLOT_DAYS_MAX = 92
_WIDTH, _HEIGHT = 480, 90


def frame_schema(frame: Frame) -> dg.TableSchema:
    """A frame's columns, each with what it means and what may stand in it: the contract, as the UI shows it."""
    key = ", ".join(frame.key)
    return dg.TableSchema(
        columns=[_frame_column(column) for column in frame.columns],
        constraints=dg.TableConstraints(other=[f"({key}) names one row"]),
    )


def _frame_column(column: Column) -> dg.TableColumn:
    other = [f"one of {', '.join(column.allowed)}"] if column.allowed else []
    other += ["must be supplied"] if column.required else []
    return dg.TableColumn(
        column.name,
        type=str(column.type),
        description=column.description,
        constraints=dg.TableColumnConstraints(nullable=column.nullable, other=other),
    )


def model_schema(model: Model) -> dg.TableSchema:
    """A mart's columns as its YAML documents them."""
    tested = {f"{c.name}_not_null": c.name for c in model.columns}
    not_null = {tested[test.name] for test in model.tests if test.name in tested} | set(model.key)
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                column.name,
                type=column.type or "text",
                description=column.description,
                constraints=dg.TableColumnConstraints(nullable=column.name not in not_null),
            )
            for column in model.columns
        ],
        constraints=dg.TableConstraints(other=[f"({', '.join(model.key)}) names one row"] if model.key else []),
    )


def table(rows: Sequence[Mapping[str, Any]], most: int = 50) -> dg.TableMetadataValue | str:
    """The first rows as a table; amounts in full, never rounded."""
    if not rows:
        return "none"
    records = [dg.TableRecord({name: text(value) for name, value in row.items()}) for row in rows[:most]]
    schema = dg.TableSchema(columns=[dg.TableColumn(name) for name in rows[0]])
    return dg.MetadataValue.table(records, schema=schema)


def findings_table(rows: Sequence[Mapping[str, Any]]) -> dg.TableMetadataValue | str:
    """Rows that disagree: what matters most comes first, for the page shows no more than half a dozen columns."""
    return table([_finding(row) for row in rows])


def _finding(row: Mapping[str, Any]) -> dict[str, Any]:
    place = {"date": row["date"], "position": f"{row['account']} {row['wallet']} {row['asset']}"}
    first = {name: row[name] for name in ("variance_in_asset", "variance_in_usd", "status", "discrepancy_type")}
    told = place | first
    return told | {name: value for name, value in row.items() if name not in (*told, "account", "wallet", "asset")}


def text(value: Any) -> str:
    """A cell: nothing for null, a decimal without exponent and trailing zeros, an instant in UTC."""
    if value is None:
        return ""
    if isinstance(value, Decimal):
        digits = format(value, "f")
        return (digits.rstrip("0").rstrip(".") or "0") if "." in digits else digits
    return value.isoformat(sep=" ") if isinstance(value, datetime) else str(value)


def plot(days: Mapping[date, DayFindings]) -> dg.MarkdownMetadataValue:
    """Rows by status for each day, as a small picture inside Markdown; the last quarter if there are more days."""
    shown = sorted(days)[-_PLOT_DAYS_MAX:]
    most = max((days[day].rows for day in shown), default=0) or 1
    step = _WIDTH / max(len(shown), 8)
    drawn = [bar for n, day in enumerate(shown) for bar in _bars(days[day], n * step, step * 0.85, _HEIGHT / most)]
    marks = [n for n in range(len(shown)) if n % max(1, -(-len(shown) // 6)) == 0]
    drawn += [_label(n * step, _HEIGHT + 12, f"{shown[n]:%d %b}") for n in marks]
    present = [status for status in _COLOURS if any(status in days[day].statuses for day in shown)]
    drawn += [_key(status, 12 * n) for n, status in enumerate(present)]
    drawn.append(_label(_WIDTH + 8, _HEIGHT, f"{most} rows high"))
    size = f"width='{_WIDTH + 110}' height='{_HEIGHT + 16}'"
    picture = f"<svg xmlns='http://www.w3.org/2000/svg' {size}>{''.join(drawn)}</svg>"
    encoded = base64.b64encode(picture.encode()).decode()
    return dg.MetadataValue.md(f"![rows by status and day](data:image/svg+xml;base64,{encoded})")


def _bars(day: DayFindings, left: float, width: float, scale: float) -> Iterator[str]:
    """A day's rows, one status on the other, the gravest on top."""
    bottom: float = _HEIGHT  # of pixels
    for status, colour in _COLOURS.items():
        if rows := day.statuses.get(status, 0):
            height = max(rows * scale, 1.5)  # one row among thousands is still to be seen
            bottom -= height
            at = f"x='{left:.1f}' y='{bottom:.1f}' width='{width:.1f}' height='{height:.1f}'"
            yield f"<rect {at} fill='{colour}'/>"


def _key(status: str, top: int) -> str:
    square = f"<rect x='{_WIDTH + 8}' y='{top}' width='8' height='8' fill='{_COLOURS[status]}'/>"
    return square + _label(_WIDTH + 20, top + 8, status)


def _label(left: float, baseline: float, words: str) -> str:
    return (
        f"<text x='{left:.1f}' y='{baseline:.1f}' font-family='sans-serif' font-size='9' fill='#5b6670'>{words}</text>"
    )
