"""What went wrong, as it is kept for a person."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from recon_pipeline.errors import ReconError, UnforeseenError
from recon_pipeline.stores.reviews import Problem
from recon_pipeline.transport.credentials import CredentialsMissing
from recon_pipeline.transport.errors import ErrorKind, InvalidSymbol, VenueError
from recon_pipeline.transport.secrets_file import SecretsError
from recon_pipeline.transport.signing import CredentialsUnusable
from recon_pipeline.venues.binance.accounts import ACCOUNT_INFO, SUB_ACCOUNTS
from recon_pipeline.venues.binance.identity import WrongIdentity
from recon_pipeline.venues.streams import Stream

_NAMED_MAX = 5
_OF_KEYS = (CredentialsMissing, CredentialsUnusable, SecretsError, WrongIdentity)
"""What is wrong with an account's key before the venue was asked, or although it took the key."""
_LOG = logging.getLogger(__name__)


def problem_of(error: ReconError, email: str, stream: str, symbol: str | None = None) -> Problem:
    """An error as it is kept for a person: what a whole endpoint or host fails with is one, whatever it was asked."""
    told = error if isinstance(error, VenueError) else None
    concerns = told.concerns if told else "question"
    place = error.where
    if told is not None and concerns == "host":
        place = f"venue {told.venue}" + (f", account {email}" if email else "")
    raw = None
    if told is not None:
        raw = {"http_status": told.status, "code": told.code, "message": told.message}
        raw |= {"response_id": told.response_id} if told.response_id is not None else {}
    return Problem(
        name=type(error).__name__,
        found=error.found,
        kind=_kind(error),
        place=place,
        expected=error.expected,
        next_step=error.next_step,
        account=email or None,
        stream=stream if concerns != "host" else None,
        symbol=symbol if concerns == "question" else None,
        raw_error=raw,
        needs_manual_review=told.needs_manual_review if told else True,
    )


def _kind(error: ReconError) -> str:
    if isinstance(error, _OF_KEYS):
        return ErrorKind.API_KEY_INVALID
    return error.kind if isinstance(error, VenueError) else ErrorKind.UNKNOWN


def unforeseen(error: Exception, where: str) -> UnforeseenError:
    """By its type and its place in the program alone: its text may hold what a record holds."""
    frames = traceback.extract_tb(error.__traceback__)
    places = [f"{Path(frame.filename).name}:{frame.lineno}" for frame in frames]
    _LOG.error("%s: %s, raised by way of %s", where, type(error).__name__, " ".join(places))
    return UnforeseenError(
        f"{type(error).__name__} at {places[-1]}",
        where=where,
        next_step="report it with this text; the stream is asked again with the next run, the others went on",
    )


def key_warning(found: str, email: str) -> Problem:
    """A key that works, and could be safer."""
    return Problem(
        "KeyWarning",
        found,
        "UNKNOWN",
        place=f"account {email}",
        expected="a key that may read and nothing else, from this machine's address alone",
        next_step="restrict it under API Management on the venue's site",
        account=email,
        stream=ACCOUNT_INFO,
    )


def numbers_differ(sub: str, number: str) -> Problem:
    """A sub-account whose key tells no number that a main account lists. Another key of it, which opens another number,
    is another entry."""
    return Problem(
        "NumbersDiffer",
        f"the key of {sub} opens an account of another number than the main account lists",
        "UNKNOWN",
        place=f"account {sub}, {SUB_ACCOUNTS}, uid {number}",
        expected="one number of each account, whoever tells it",
        next_step="compare its User ID on the venue's site with that uid; if it is right, resolve this entry",
        account=sub,
        stream=SUB_ACCOUNTS,
        needs_manual_review=True,
    )


def no_longer_listed(email: str, subs: Sequence[str]) -> Problem:
    """Sub-accounts that a main account's list leaves out now."""
    return Problem(
        "SubAccountsNotListed",
        f"the list of sub-accounts does not name {_some(subs)} any more, asked twice",
        "UNKNOWN",
        place=f"account {email}, {SUB_ACCOUNTS}",
        expected="every sub-account that it named before",
        next_step="they are asked for as before; see on the venue's site what became of them, then resolve this entry",
        account=email,
        stream=SUB_ACCOUNTS,
        needs_manual_review=True,
    )


def sub_account_gone(sub: str) -> Problem:
    """A sub-account that no list names any more, and whose e-mail the venue refuses."""
    return Problem(
        "SubAccountGone",
        f"no list of sub-accounts names {sub} any more, and the venue refuses its e-mail",
        "UNKNOWN",
        place=f"account {sub}, {SUB_ACCOUNTS}",
        expected="a sub-account that the venue lists, or at least tells of",
        next_step="see on the venue's site what became of it; if it is gone, take it out of recon.yaml, out of"
        " managed_subs and the like too. Its own days are incomplete from now on, those of the others are not",
        account=sub,
        stream=SUB_ACCOUNTS,
        needs_manual_review=True,
    )


def market_refused(email: str, stream: Stream, name: str, error: InvalidSymbol) -> Problem:
    """A market or an asset that a stream named before, and that the venue knows no more."""
    return Problem(
        "MarketRefused",
        f"{stream.name}: the venue does not know {name}, or knows it no more",
        ErrorKind.INVALID_SYMBOL,
        place=f"account {email}, {stream.name}, {name}",
        expected="a market or an asset that the venue tells of",
        next_step="the others are read without it. If recon.yaml names it by mistake, take it out; if the venue has"
        " removed it, compare what it moved last with the venue's statement, then resolve this entry",
        account=email,
        stream=stream.name,
        symbol=name,
        raw_error={"http_status": error.status, "code": error.code, "message": error.message},
        needs_manual_review=True,
    )


def record_gone(email: str, stream: Stream, keys: Sequence[str], today: date) -> Problem:
    """Records that a stream does not tell of any more; each read that misses some is an entry."""
    return Problem(
        "RecordGone",
        f"{stream.name}: the venue told of {_some(keys)} before, and does not any more",
        "UNKNOWN",
        place=f"account {email}, {stream.name}, read on {today}, from {min(keys)} on",
        expected="every record of a day that is read again",
        next_step="it counts no longer, and is kept in recon.raw_records with superseded_at; compare the day with the"
        " venue's statement, then resolve this entry",
        account=email,
        stream=stream.name,
        needs_manual_review=True,
    )


def record_changed(email: str, stream: Stream, keys: Sequence[str], today: date) -> Problem:
    """Records of a stream that were settled, and are told in another way now."""
    return Problem(
        "RecordChanged",
        f"{stream.name}: the venue tells of {_some(keys)} in another way than before",
        "UNKNOWN",
        place=f"account {email}, {stream.name}, read on {today}, from {min(keys)} on",
        expected="a record that stays as it is once it is settled",
        next_step="the new version counts, the old one is kept in recon.raw_records; what it moved is a restatement",
        account=email,
        stream=stream.name,
    )


def _some(names: Sequence[str]) -> str:
    """So many names that a person reads them."""
    more = f" and {len(names) - _NAMED_MAX} more" if names[_NAMED_MAX:] else ""
    return ", ".join(names[:_NAMED_MAX]) + more
