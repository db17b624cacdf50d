"""What a key may do. This program reads: a key that may trade, lend, move or withdraw money is refused."""

from __future__ import annotations

from dataclasses import dataclass

from recon_pipeline.transport.client import Answer, Client
from recon_pipeline.transport.clock import Stop, go_on
from recon_pipeline.transport.credentials import Credentials
from recon_pipeline.transport.errors import ApiKeyInvalid, KeyMayDoMore, MalformedAnswer
from recon_pipeline.venues.binance.endpoints import API_RESTRICTIONS

RIGHTS_REFUSED = {
    "enableWithdrawals": "withdraw",
    "enableInternalTransfer": "transfer to other accounts",
    "permitsUniversalTransfer": "transfer between accounts and wallets",
    "enableSpotAndMarginTrading": "trade spot and margin",
    "enableMargin": "borrow and repay",
    "enableFutures": "trade futures",
    "enableVanillaOptions": "trade options",
    "enablePortfolioMarginTrading": "trade under portfolio margin",
    "enableFixApiTrade": "trade over FIX",
}
_ALWAYS_STATED = (
    "enableReading", "enableWithdrawals", "enableInternalTransfer", "permitsUniversalTransfer",
    "enableSpotAndMarginTrading", "enableMargin", "enableFutures",
)  # fmt: skip
"""What the venue's documented answer says of every key: of one that is left out nobody knows whether the key has it."""
_TOLD = {"true": True, "1": True, "false": False, "0": False}
_RIGHTS_ALLOWED = frozenset({"enableReading", "enableFixReadOnly"})
_READ_ONLY = (
    "make a read-only key: on the venue's site under API Management create a new key, leave 'Enable Reading' as the"
    " only permission, choose 'Restrict access to trusted IPs only' and enter this machine's public address; store it"
    " with recon secrets set, then delete the other key"
)


@dataclass(frozen=True)
class KeyRights:
    """What a key may do, as the venue tells it."""

    is_bound_to_addresses: bool
    """Whether it works from listed addresses only."""
    unknown: tuple[str, ...]
    """Rights that it has and that this release does not know."""


def check_key(client: Client, credentials: Credentials, *, stop: Stop = go_on) -> KeyRights:
    """Ask the venue what the key may do; KeyMayDoMore if that is more than reading, ApiKeyInvalid if it is less."""
    answer = client.ask(API_RESTRICTIONS, {}, credentials, live=True, stop=stop)
    rights = answer.json
    if not isinstance(rights, dict):
        raise _error(MalformedAnswer, "the rights of the key cannot be read", client, credentials, answer)
    granted = {name for name, told in rights.items() if _TOLD.get(str(told).lower())}
    if too_many := [words for name, words in RIGHTS_REFUSED.items() if name in granted]:
        raise _error(KeyMayDoMore, f"the key may {', '.join(too_many)}", client, credentials, answer)
    if missing := [name for name in _ALWAYS_STATED if name not in rights]:
        found = f"the rights of the key do not say {', '.join(missing)}"
        raise _error(MalformedAnswer, found, client, credentials, answer)
    if unclear := sorted(
        n for n in (*RIGHTS_REFUSED, *_ALWAYS_STATED) if str(rights.get(n, False)).lower() not in _TOLD
    ):
        found = f"whether the key has {', '.join(dict.fromkeys(unclear))} is neither true nor false"
        raise _error(MalformedAnswer, found, client, credentials, answer)
    if "enableReading" not in granted:
        raise _error(ApiKeyInvalid, "the key may not read", client, credentials, answer)
    rest = granted - _RIGHTS_ALLOWED
    return KeyRights("ipRestrict" in granted, tuple(sorted(n for n in rest if n.startswith(("enable", "permits")))))


def _error(
    error: type[ApiKeyInvalid | MalformedAnswer], found: str, client: Client, credentials: Credentials, answer: Answer
) -> ApiKeyInvalid | MalformedAnswer:
    return error(
        found,
        venue=client.venue,
        endpoint=str(API_RESTRICTIONS),
        account=credentials.account,
        status=answer.status,
        expected="a key that may read and nothing else",
        next_step="" if error is MalformedAnswer else _READ_ONLY,
        response_id=answer.response_id,
        digest=answer.digest,
    )
