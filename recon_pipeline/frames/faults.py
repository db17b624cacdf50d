"""The faults of a row: what each expected, what to do next, and how a refused row is told to a person."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

ROW_FAULTS: MappingProxyType[str, tuple[str, str]] = MappingProxyType(
    {
        "MissingValue": ("a value, for the column is required", "state it in the file"),
        "TooLong": (
            "at most 512 bytes of UTF-8 in a column that names something",
            "use the venue's short identifier and keep the long text in raw_id",
        ),
        "NotText": ("text without NUL characters", "write the file anew as UTF-8 text"),
        "NotAllowed": ("one of the words that the column allows", "correct the word, or leave the column out"),
        "UnknownSubtype": (
            "a registered txn_subtype",
            "use a registered one, or `unknown`, which moves the balance by its sign and is reported",
        ),
        "WrongVenue": ("the venue of the folder's settings", "leave the column venue out, or move the file"),
        "NotAnAmount": ("a plain or scientific number such as 12.5 or 6.75e-7", "correct the amount"),
        "AmountNotFinite": ("a plain or scientific number such as 12.5 or 6.75e-7", "correct the amount"),
        "AmountSeparated": (
            "a decimal point and nothing between the digits, such as 1000.5",
            "export the file without separators",
        ),
        "AmountTooFine": ("at most 18 decimals, for nothing is rounded", "state it in a larger unit, or correct it"),
        "AmountTooLarge": ("at most 18 digits before the point", "state it in a larger unit, or correct it"),
        "NotAnInstant": ("an ISO 8601 instant such as 2026-01-31T23:59:59Z", "correct the instant"),
        "InstantWithoutOffset": (
            "an instant with Z or an offset, such as 2026-01-31T23:59:59Z, for a zone is never guessed",
            "add the offset",
        ),
        "InstantImpossible": ("an instant that the calendar and the clock know", "correct the instant"),
        "YearImplausible": ("a year from 1970 to 2199", "correct the year"),
        "InstantTooFine": ("at most six decimals of a second, for nothing is rounded", "state it in microseconds"),
        "NotADay": ("a day as YYYY-MM-DD", "correct the day"),
        "NotACount": ("a whole number", "correct the count"),
        "LegsShareExternalId": (
            "an external_id for each leg, for it names one row and not one event",
            "suffix the legs' external_id (:buy :sell :fee, or :out :in) and tie them by agg_id or txn_hash",
        ),
        "DoubledKey": (
            "one row for a key, or rows of equal content",
            "take out the row that is wrong; until then neither is believed",
        ),
        "SnapshotDatesDiffer": (
            "one date for all rows of a snapshot of a wallet",
            "state the same date on them, or give each read a snapshot_id of its own",
        ),
        "StatedTwice": (
            "each position once in a snapshot",
            "state it once, or give each read a snapshot_id of its own",
        ),
        "AsOfAfterReadAt": ("an as_of not after read_at, for a read tells the past", "correct as_of or read_at"),
        "WindowReversed": ("a window_start not after window_end", "correct the window"),
    }
)
"""What each fault of a row expected, and what to do next, by its name."""


def fault_sql(name: str, condition: str, found: str) -> str:
    """SQL for the text of a fault where the condition holds, else null."""
    if name not in ROW_FAULTS:
        raise KeyError(name)
    return f"CASE WHEN {condition} THEN {quoted(f'{name}: {found}')} END"


def quoted(text: str) -> str:
    """The text as a SQL literal."""
    return "'" + text.replace("'", "''") + "'"


def reason(faults: list[str]) -> str:
    """Of faults as `Name: found`: what was found (all), then what the first of them expected and asks for."""
    name = faults[0].partition(": ")[0]
    found = " and ".join(fault.partition(": ")[2] for fault in faults)
    expected, next_step = ROW_FAULTS[name]
    return f"{found}; expected {expected}; next: {next_step}"


def place_of(file: object, line: object) -> str:
    """Where a row was read, in words: a line of a file, or a raw record of a stream; empty if nothing tells it."""
    if not file or line is None:
        return str(file or "")
    # the name of a file has an ending, that of a stream is a plain name
    return f"{file}, fid {line} of recon.raw_records" if str(file).isidentifier() else f"{file}, line {line}"


def row_fault_text(row: Mapping[str, object]) -> str:
    """The whole text of a quarantined row's error: its name, what was found, where, what was expected, what next."""
    name, text = str(row["error"]), str(row["reason"])
    found, _, rest = text.partition("; expected ")
    expected, _, next_step = rest.partition("; next: ")
    place = place_of(row["file"], row["line"]) or "no file told"
    return f"{name}: {found}\n  where:    {place}\n  expected: {expected}\n  next:     {next_step}"
