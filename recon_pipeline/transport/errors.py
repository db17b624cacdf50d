"""What can go wrong with a venue, by name. Every error is of a kind, by which the rest of the pipeline acts.

API_KEY_INVALID       the account's key is refused: that account stops, and somebody is told
RATE_LIMIT            the venue's allowance is used up, or the address is banned until an instant
PARAMETER_ERROR       the venue does not accept the question: asking again would not help
INSUFFICIENT_BALANCE  never for what only reads
NETWORK_ERROR         the venue was not reached, or broke off, or is busy: it was tried again and did not help
INVALID_SYMBOL        the venue does not know the symbol or asset, or knows it no more
UNKNOWN               kept for review
"""

# ruff: noqa: N818 - the names say what is the matter

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import ClassVar, Literal

from recon_pipeline.errors import ReconError

Concerns = Literal["question", "endpoint", "host"]


class ErrorKind(StrEnum):
    """The kinds of errors that the pipeline answers differently."""

    API_KEY_INVALID = "API_KEY_INVALID"
    RATE_LIMIT = "RATE_LIMIT"
    PARAMETER_ERROR = "PARAMETER_ERROR"
    INSUFFICIENT_BALANCE = "INSUFFICIENT_BALANCE"
    NETWORK_ERROR = "NETWORK_ERROR"
    INVALID_SYMBOL = "INVALID_SYMBOL"
    UNKNOWN = "UNKNOWN"


class VenueError(ReconError):
    """A venue did not give what it was asked for. `status` and `code` are None where there was no answer."""

    kind: ClassVar[ErrorKind] = ErrorKind.UNKNOWN
    stops_account: ClassVar[bool] = False
    """Whether nothing more may be asked with the account's key."""
    needs_manual_review: ClassVar[bool] = False
    """Whether nobody foresaw it: it is kept for a person to look at."""
    concerns: ClassVar[Concerns] = "question"
    """What it says something of: what was asked; all that is asked of the endpoint with this key; or of the host."""
    default_next_step: ClassVar[str] = "run again; report it with this text if that does not help"

    def __init__(
        self,
        found: str,
        *,
        venue: str = "",
        endpoint: str = "",
        account: str | None = None,
        status: int | None = None,
        code: str | None = None,
        message: str = "",
        expected: str = "",
        next_step: str = "",
        until: datetime | None = None,
        response_id: int | None = None,
        digest: str | None = None,
    ) -> None:
        self.venue = venue
        self.endpoint = endpoint
        self.account = account
        self.status = status
        self.code = code
        self.message = message
        """In the venue's own words, without any secret."""
        self.until = until
        """The instant from which on it may be asked again, where the venue says so."""
        self.response_id = response_id
        """The row of recon.raw_responses that holds the answer."""
        self.digest = digest
        places = (
            f"venue {venue}" if venue else "",
            endpoint,
            f"account {account}" if account else "",
            f"HTTP {status}" if status is not None else "",
            f"code {code}" if code is not None else "",
        )
        super().__init__(
            found,
            where=", ".join(place for place in places if place),
            expected=expected,
            next_step=next_step or self.default_next_step,
        )


class ApiKeyInvalid(VenueError):
    """The venue refuses the key, its signature, the address it is used from, or what it asks to see."""

    kind = ErrorKind.API_KEY_INVALID
    stops_account = True
    default_next_step = (
        "see that the key stands, is allowed from this machine's address and may read; store it anew with"
        " recon secrets set; the other accounts go on"
    )


class KeyMayDoMore(ApiKeyInvalid):
    """The key may trade, withdraw or move money: it is refused, for this program only reads."""

    exit_code = 4


class ProductNotEnabled(VenueError):
    """The account has not opened what was asked for, or the key may not see it, or it is no main account.

    Its kind is API_KEY_INVALID as the venue tells it, but only this question is hopeless: the account goes on.
    """

    kind = ErrorKind.API_KEY_INVALID
    default_next_step = "nothing, if the account does not use it; else open it, or allow the key to read it"


class RateLimit(VenueError):
    """The allowance is used up, and waiting was not to be; `until` says when to ask again."""

    kind = ErrorKind.RATE_LIMIT
    concerns: ClassVar[Concerns] = "endpoint"
    default_next_step = "run again later: what was read stays"


class HostBanned(RateLimit):
    """The venue answers nobody at this address until an instant."""

    concerns: ClassVar[Concerns] = "host"
    default_next_step = "run again after that instant; see what else uses the venue from this address"


class ParameterError(VenueError):
    """The venue does not accept a parameter: a fault of this program or of recon.yaml."""

    kind = ErrorKind.PARAMETER_ERROR
    default_next_step = "correct the setting that it comes from, or report it with this text"


class WindowTooLong(ParameterError):
    """The span of time is longer than the venue allows in one question: ask for its parts."""


class WindowTooOld(ParameterError):
    """The venue tells of that span no more."""

    default_next_step = "fill the hole from a statement that the venue's site offers"


class NotMainAccount(ParameterError):
    """Only the key of a main account may ask this."""

    default_next_step = (
        "have the main account's key ask it; if it is asked for an e-mail of recon.yaml (managed_subs and the like),"
        " correct that, and if an account's e-mail has changed, give the new one under emails of it"
    )


class InsufficientBalance(VenueError):
    """Told of orders only, and so never expected."""

    kind = ErrorKind.INSUFFICIENT_BALANCE
    needs_manual_review = True


class NetworkError(VenueError):
    """The venue was not reached, broke off or answered that it is busy, and trying again did not help."""

    kind = ErrorKind.NETWORK_ERROR
    default_next_step = "run again: what was read stays"


class ClockRefused(NetworkError):
    """The venue does not accept our time, even after it was set by its own."""

    default_next_step = "set this machine's clock (NTP), then run again"


class VenueUnreachable(NetworkError):
    """So many questions failed that none is asked for a while: the circuit breaker is open."""

    concerns: ClassVar[Concerns] = "host"


class EndpointUnreachable(NetworkError):
    """So many questions of one endpoint had no answer that none is asked for a while, or it fails and wants to be left
    alone for longer than anybody waits; others of the host go on."""

    concerns: ClassVar[Concerns] = "endpoint"


class ClockServerGone(NetworkError):
    """The clock that is shared with a simulated venue does not answer any more."""

    concerns: ClassVar[Concerns] = "host"
    default_next_step = "start the sandbox again, then run again"


class InvalidSymbol(VenueError):
    """The venue does not know the symbol or the asset, or knows it no more."""

    kind = ErrorKind.INVALID_SYMBOL
    default_next_step = "nothing: the exchange's list is read anew; what is purged there is kept as a hole"


class UnknownVenueError(VenueError):
    """An answer that nobody foresaw; its bytes are in the archive."""

    needs_manual_review = True
    default_next_step = (
        "look the answer up in recon.raw_responses, then use recon errors resolve with a note; if the account never had"
        " the product, name the stream under never_used of the account in recon.yaml"
    )


class CountryRefused(UnknownVenueError):
    """The venue answers nobody in the country from which this machine reaches it, whatever is asked."""

    concerns: ClassVar[Concerns] = "host"
    default_next_step = "see from which address this machine reaches the venue, then run again: what was read stays"


class FirewallRefused(UnknownVenueError):
    """What stands before the venue does not let the request through: it says nothing of what was asked for."""

    concerns: ClassVar[Concerns] = "endpoint"
    default_next_step = "see from which address this machine reaches the venue, and whether it may; then run again"


class AccountNotThere(UnknownVenueError):
    """The product's own account does not exist: its wallet is empty and nothing ever moved in it."""

    needs_manual_review = False
    default_next_step = "nothing: the wallet counts as empty"


class MalformedAnswer(UnknownVenueError):
    """What came is not what the venue's page promises: no JSON, HTML, cut off, or of another shape."""


class UnexpectedAnswer(MalformedAnswer):
    """An answer of status 200 whose body does not have the shape of its endpoint."""

    default_next_step = "the answer is in the archive; what it left out stays open and is asked again with the next run"
