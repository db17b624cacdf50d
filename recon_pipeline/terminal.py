"""What the commands print: tables for a person. Amounts are printed in full."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from recon_pipeline.errors import printable
from recon_pipeline.reconcile.findings import VERDICTS, AccountVerdicts

_COLOURS = {
    "green": "green",
    "opening": "green",
    "pending": "blue",
    "incomplete": "yellow",
    "red": "red",
    "variance": "red",
}


def plain(value: Any) -> str:
    """A cell: nothing for null, decimals in full without trailing zeros."""
    if value is None:
        return ""
    if isinstance(value, Decimal):
        digits = format(value, "f")
        return digits.rstrip("0").rstrip(".") if "." in digits else digits
    return str(value)


def verdict_table(of_venues: Mapping[str, Sequence[AccountVerdicts]]) -> Table:
    """Days by verdict for each account."""
    table = Table(title="Days by verdict", title_justify="left")
    table.add_column("venue")
    table.add_column("account")
    for verdict in VERDICTS:
        table.add_column(verdict, justify="right", style=_COLOURS[verdict])
    table.add_column("last day")
    for venue, accounts in of_venues.items():
        for account in accounts:
            days = [str(account.verdicts.get(verdict, "")) for verdict in VERDICTS]
            colour = _COLOURS[account.last_verdict]
            table.add_row(venue, account.account, *days, Text(account.last_verdict, style=colour))
    return table


def rows_table(
    title: str, rows: Sequence[Mapping[str, Any]], columns: Iterable[str], most: int = 25, all_: int | None = None
) -> Table:
    """Some columns of some rows; says how many are left out, of `all_` if these are not all."""
    names = list(columns)
    more = (len(rows) if all_ is None else all_) - min(len(rows), most)
    table = Table(title=title, title_justify="left", caption=f"and {more} more" if more else None)
    for name in names:
        is_amount = any(isinstance(row[name], Decimal | int) for row in rows)
        table.add_column(name.replace("_", " "), justify="right" if is_amount else "left", overflow="fold")
    for row in rows[:most]:
        table.add_row(*(plain(row[name]) for name in names), style=_COLOURS.get(str(row.get("status")), ""))
    return table


class _Plain(Console):
    """Nothing in a text is a command to it or to the terminal: names come from files and venues."""

    def __init__(self, *, stderr: bool, width: int | None = None) -> None:
        super().__init__(stderr=stderr, highlight=False, markup=False, emoji=False, width=width)

    def render_str(self, text: str, **style: Any) -> Text:
        return super().render_str(printable(text), **style)


def console(*, stderr: bool = False) -> Console:
    """Where to print: colours on a terminal only; wide enough for an amount when there is no terminal."""
    made = _Plain(stderr=stderr)
    return made if made.is_terminal else _Plain(stderr=stderr, width=160)
