"""What the mapping cannot read or has never seen, as an entry that waits for a person."""

from __future__ import annotations

from collections.abc import Mapping

from recon_pipeline.stores.reviews import Problem
from recon_pipeline.venues.binance.mapping.model import Kind
from recon_pipeline.venues.binance.mapping.model import Problem as Found
from recon_pipeline.venues.sources import Residuals

_TOLD: Mapping[Kind, tuple[str, str, str]] = {
    "unknown_field": (
        "UnknownField",
        "fields that the mapping knows",
        "the record counts as before; see whether the field moves a balance, then resolve this entry",
    ),
    "unknown_value": (
        "UnknownValue",
        "values that the mapping knows",
        "see whether the balances close with it, then resolve this entry",
    ),
    "not_stated": (
        "AmountNotStated",
        "an answer that states the amount",
        "the difference stays until it is accepted; the venue's statement has the amount",
    ),
    "malformed": (
        "RecordMalformed",
        "a record as the venue documents it",
        "run the day again; until the venue tells it otherwise, its position is incomplete",
    ),
    "conflict": (
        "RecordConflicting",
        "streams that agree",
        "compare with the venue's statement; until then the position is incomplete",
    ),
}

_OF_ONE_RECORD = frozenset({"malformed", "conflict", "not_stated"})
"""What one record says of its own money. The others are of a word that is new, whichever records use it."""


def rests_on_residuals(problem: Found) -> bool:
    """Whether it has to be looked at only where something is unexplained."""
    return problem.kind == "not_stated"


def is_open(problem: Found, residuals: Residuals) -> bool:
    """Whether it has to be looked at: an amount that is not stated matters where something is unexplained, and if it
    is known when the money moved, in a window that holds that day."""
    if not rests_on_residuals(problem):
        return True
    at = problem.instant
    return any(
        account == problem.account and (at is None or 0 <= (day - at.date()).days < residual.days)
        for (account, _, day), of_day in residuals.items()
        for residual in of_day.values()
    )


def finding(problem: Found) -> Problem:
    """The entry of a problem: one for an account, a stream and a new word, however many records use it; one for each
    record whose money is in doubt."""
    is_of_record = problem.kind in _OF_ONE_RECORD
    name, expected, next_step = _TOLD[problem.kind]
    return Problem(
        name=name,
        found=f"{problem.stream} {problem.key}: {problem.text}",
        kind="UNKNOWN",
        place=f"{problem.key}: {problem.text}" if is_of_record else problem.text,
        expected=expected,
        next_step=next_step,
        account=problem.account,
        stream=problem.stream,
        needs_manual_review=True,
    )
