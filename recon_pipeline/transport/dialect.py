"""What differs between venues, as far as the one HTTP client has to know: signing, headers, errors and server time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum, auto
from typing import Any, Protocol

from recon_pipeline.transport.credentials import Credentials
from recon_pipeline.transport.endpoints import Endpoint
from recon_pipeline.transport.errors import UnknownVenueError, VenueError
from recon_pipeline.transport.signing import Params


@dataclass(frozen=True)
class RawRequest:
    """A request as its bytes go on the wire: nothing of it is encoded again."""

    query: str = field(default="", repr=False)
    body: bytes = field(default=b"", repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)
    """Texts in it that must not show anywhere: the key and the signature."""


class Remedy(Enum):
    """What helps against a refusal."""

    NONE = auto()
    """Nothing: asking again would not help."""
    TRY_AGAIN = auto()
    """The venue is not well; it counts as a failure of the host."""
    ASK_AGAIN = auto()
    """The answer was damaged; the host may be well all the same."""
    WAIT = auto()
    """The bucket's allowance is used up; with HostBanned, nothing of the venue may be asked from here."""
    SET_CLOCK = auto()
    """Our time is not the venue's."""
    SUSPECT_BAN = auto()
    """A key is refused; if it worked a moment ago this may be a ban that passes."""


@dataclass(frozen=True)
class Refusal:
    """What a venue's answer means where it is not what was asked for."""

    error: type[VenueError] = UnknownVenueError
    found: str = ""
    code: str | None = None
    message: str = ""
    """The venue's own words."""
    remedy: Remedy = Remedy.NONE
    wait_seconds: float | None = None
    """How long the venue wants us to wait."""
    until: datetime | None = None
    """Until when it does, by its own clock."""
    expected: str = ""
    next_step: str = ""


class Dialect(Protocol):
    """A venue's way to speak HTTP."""

    @property
    def time_endpoint(self) -> Endpoint | None:
        """Where the venue tells its time, unsigned; None if it does not."""
        ...

    def sign(self, endpoint: Endpoint, params: Params, credentials: Credentials | None, now: datetime) -> RawRequest:
        """The request, signed if there are credentials and the endpoint wants it."""
        ...

    def used_weight(self, endpoint: Endpoint, headers: Mapping[str, str]) -> int | None:
        """What the venue counts as used of the endpoint's bucket; None if it does not tell. Names are lower case."""
        ...

    def classify(self, endpoint: Endpoint, status: int, headers: Mapping[str, str], body: Any) -> Refusal | None:
        """What is wrong with an answer, None if nothing. `body` is parsed JSON, None where it is not JSON."""
        ...

    def server_time(self, body: Any) -> datetime:
        """The instant that the answer of `time_endpoint` tells. Raises LookupError, TypeError or ValueError."""
        ...
