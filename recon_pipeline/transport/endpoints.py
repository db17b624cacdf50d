"""What may be asked of a venue, and what each question costs. Whatever is not on this list is never signed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from recon_pipeline.errors import ReconError

Method = Literal["GET", "POST"]
Per = Literal["ip", "account"]
Security = Literal["none", "signed"]
Opened = Literal["always", "told", "untold"]
"""Whether every account has what an endpoint tells of; or has to open it, or be of a kind, of which the venue tells
elsewhere; or of which it does not, so that only a refusal says that an account has it not."""


class NotOnReadList(ReconError):  # noqa: N818 - the name says what is the matter
    """A request that the venue's read list does not hold: it was neither signed nor sent."""

    exit_code = 4


@dataclass(frozen=True)
class Bucket:
    """An allowance as the venue keeps it: so much weight in any `seconds`, for each IP address or each account."""

    name: str
    """Unique at the venue: `/api` for a bucket that many endpoints share, else the endpoint's path."""
    limit: int
    per: Per
    seconds: int = 60
    is_shared_with_live: bool = False
    """Whether captures and live checks draw on it: then a tenth of what is usable is kept free for them."""


@dataclass(frozen=True)
class Endpoint:
    """One (method, path) that may be read. `host` names a base URL of the venue, `weight` is drawn from `bucket`."""

    method: Method
    path: str
    host: str
    weight: int
    bucket: Bucket
    security: Security = "signed"
    opened: Opened = "always"
    """What a refused key means: where every account is told, that the key is no good; else that this is not for it."""

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


class ReadList:
    """The endpoints that may be asked of a venue, by method and path."""

    def __init__(self, venue: str, endpoints: Iterable[Endpoint]) -> None:
        self._venue = venue
        self._endpoints: dict[tuple[str, str], Endpoint] = {(e.method, e.path): e for e in endpoints}

    def find(self, method: str, path: str) -> Endpoint:
        """The endpoint; NotOnReadList if it may not be asked."""
        found = self._endpoints.get((method, path))
        if found is not None:
            return found
        raise NotOnReadList(
            f"{method} {path} is not on the read list",
            where=f"venue {self._venue}",
            expected="an endpoint that only reads, as the venue's read list names them",
            next_step="nothing was signed or sent; if the endpoint only reads, add it to the list and its page",
        )

    def __contains__(self, endpoint: object) -> bool:
        return endpoint in self._endpoints.values()
