"""Ledgers and disagreements in lines that a person can follow."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date

from recon_pipeline_tests.oracle import COLUMNS, Ledger, Row


def story(ledger: Ledger, account: str | None = None) -> str:
    """The ledger in the order of its instants; of one account, if named, and of what concerns all."""
    return "\n".join((*_asked(ledger), *_happened(ledger, account), *_beside(ledger, account)))


def _asked(ledger: Ledger) -> Iterator[str]:
    s = ledger.settings
    yield (
        f"settings: {s.calendar} from {s.start}, due +{s.due_days}, seen on {ledger.as_of_day}, streams {s.streams}, "
        f"measures {s.measures}, price sources {s.price_sources}"
    )
    yield f"{s.severities}"
    yield from (f"{rule}" for rule in s.tolerances)
    yield from (f"{opening}" for opening in s.openings)
    yield f"asked: {', '.join(map(str, ledger.days))}"


def _happened(ledger: Ledger, account: str | None) -> Iterator[str]:
    told = []
    for b in ledger.balances:
        measures = [f"{n} {v}" for n, v in (("loan", b.raw_loan), ("interest", b.raw_interest)) if v is not None]
        what = f"balance  {b.account}/{b.wallet}/{b.asset} = {b.raw_balance} {' '.join(measures)}"
        told.append((b.account, b.as_of, f"{what}  (closes {b.date}, {b.snapshot_id!r} read {b.read_at})"))
    for f in ledger.flows:
        what = f"{f.frame:<9}{f.account}/{f.wallet}/{f.asset} {f.amount:+} {f.txn_subtype} of {f.measure}"
        told.append((f.account, f.datetime, what))
    for _, when, what in sorted(t for t in told if account in (None, t[0])):
        yield f"{when!s:<32} {what}"


def _beside(ledger: Ledger, account: str | None) -> Iterator[str]:
    days = sorted({day for _, day in ledger.flow_partitions})
    yield f"flow partitions: {days[0]} to {days[-1]}" if days else "flow partitions: none"
    written = ledger.flow_partitions
    yield from (f"never written: {s} {d}" for s in ledger.settings.streams for d in days if (s, d) not in written)
    yield from (f"{c}" for c in ledger.coverage if account in (None, c.account))
    yield from (f"{e}" for e in ledger.expected if account in (None, e.account))
    yield from (f"{p}" for p in ledger.prices)
    yield from (f"{q}" for q in ledger.quarantine if q.account is None or account in (None, q.account))


def disagreements(expected: Mapping[date, Sequence[Row]], found: Mapping[date, Sequence[Row]]) -> list[str]:
    """What the two tell differently, cell by cell: position, day, column, the oracle's value and the kernel's."""
    lines = []
    for day in sorted({*expected, *found}):
        oracle = {(r.account, r.wallet, r.asset): r for r in expected.get(day, ())}
        kernel = {(r.account, r.wallet, r.asset): r for r in found.get(day, ())}
        lines += [f"{day}: {n} rows of one position" for n in (len(found.get(day, ())) - len(kernel),) if n]
        for key in sorted({*oracle, *kernel}):
            where = f"{day} {'/'.join(key)}"
            if key not in kernel:
                lines.append(f"{where}: only the oracle has the row: {summary(oracle[key])}")
            elif key not in oracle:
                lines.append(f"{where}: only the kernel has the row: {summary(kernel[key])}")
            else:
                lines += [
                    f"{where} {column}: oracle {ours!s}, kernel {theirs!s}"
                    for column in COLUMNS
                    if (ours := getattr(oracle[key], column)) != (theirs := getattr(kernel[key], column))
                ]
    return lines


def summary(row: Row) -> str:
    """The columns of a row that say something."""
    said = ((column, getattr(row, column)) for column in COLUMNS[5:])
    return ", ".join(f"{column} {value}" for column, value in said if value is not None)
