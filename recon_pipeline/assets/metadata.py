"""What the UI shows beside an asset: column schemas, tables of rows, and a small plot."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
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


def table(rows: Sequence[Mapping[str, Any]], most: int = 20) -> dg.MarkdownMetadataValue:
    """The first rows as a Markdown table; amounts in full, never rounded."""
    if not rows:
        return dg.MetadataValue.md("none")
    names = list(rows[0])
    lines = ["| " + " | ".join(names) + " |", "|" + "---|" * len(names)]
    lines += ["| " + " | ".join(text(row[name]) for name in names) + " |" for row in rows[:most]]
    lines += [f"\n… and {len(rows) - most} more"] if len(rows) > most else []
    return dg.MetadataValue.md("\n".join(lines))


def text(value: Any) -> str:
    """A cell: nothing for null, a decimal without exponent and trailing zeros, an instant in UTC."""
    if value is None:
        return ""
    if isinstance(value, Decimal):
        digits = format(value, "f")
        return digits.rstrip("0").rstrip(".") or "0" if "." in digits else digits
    if isinstance(value, datetime):
        return value.isoformat(sep=" ")
    return str(value).replace("|", "\\|").replace("\n", " ")


def plot(days: Mapping[date, DayFindings]) -> dg.MarkdownMetadataValue:
    """Rows by status for each day, as a small picture inside Markdown; the last quarter if there are more days."""
    # Drawing needs the Agg classes only: pyplot would look for a screen and takes a second to import.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    shown = sorted(days)[-_PLOT_DAYS_MAX:]
    figure = Figure(figsize=(6.4, 2.0), dpi=80, layout="constrained")
    axes = figure.add_subplot()
    floor = [0] * len(shown)
    for status, colour in _COLOURS.items():
        heights = [days[day].statuses.get(status, 0) for day in shown]
        if any(heights):
            axes.bar(range(len(shown)), heights, bottom=floor, color=colour, label=status, width=0.85)
            floor = [below + height for below, height in zip(floor, heights, strict=True)]
    marks = range(0, len(shown), max(1, len(shown) // 6))
    axes.set_xticks(list(marks), [f"{shown[mark]:%d %b}" for mark in marks], fontsize=7)
    axes.tick_params(axis="y", labelsize=7)
    axes.set_ylabel("rows", fontsize=7)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(fontsize=6, frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    picture = io.BytesIO()
    FigureCanvasAgg(figure).print_png(picture)
    encoded = base64.b64encode(picture.getvalue()).decode()
    return dg.MetadataValue.md(f"![rows by status and day](data:image/png;base64,{encoded})")
