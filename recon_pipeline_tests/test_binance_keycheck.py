"""A key that may do more than read is refused, and its owner is told how to make another."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from recon_pipeline.transport.client import Client
from recon_pipeline.transport.errors import ApiKeyInvalid, KeyMayDoMore, MalformedAnswer
from recon_pipeline.venues.binance.endpoints import API_RESTRICTIONS
from recon_pipeline.venues.binance.keycheck import RIGHTS_REFUSED, check_key
from recon_pipeline_tests.transport_venue import KEY, MAIN, SECRET, ScriptedVenue, asked_alone, told

pytestmark = pytest.mark.postgres

READ_ONLY = {"ipRestrict": True, "createTime": 1767225600000, "enableReading": True, "enableFixReadOnly": True}
READ_ONLY |= dict.fromkeys(RIGHTS_REFUSED, False)

UNCLEAR: tuple[object, ...] = ("yes", 2, None, [], {}, "TRUE ", "")


@pytest.fixture
def asked(database: str, tmp_path: Path) -> Iterator[tuple[ScriptedVenue, Client]]:
    with asked_alone(API_RESTRICTIONS, database, tmp_path) as venue_and_client:
        yield venue_and_client


def test_a_key_that_only_reads_passes(asked: tuple[ScriptedVenue, Client]) -> None:
    venue, client = asked
    venue.plan(told(READ_ONLY), told(READ_ONLY | {"ipRestrict": False, "enableTeleport": True, "permitsNothing": 0}))
    assert check_key(client, MAIN).is_bound_to_addresses
    rights = check_key(client, MAIN)
    assert (rights.is_bound_to_addresses, rights.unknown) == (False, ("enableTeleport",))


@pytest.mark.parametrize("right", sorted(RIGHTS_REFUSED))
@pytest.mark.parametrize("granted", [True, "true", 1])
def test_every_right_to_do_more_is_refused(asked: tuple[ScriptedVenue, Client], right: str, granted: object) -> None:
    venue, client = asked
    venue.plan(told(READ_ONLY | {right: granted}))
    with pytest.raises(KeyMayDoMore) as refused:
        check_key(client, MAIN)
    text = str(refused.value)
    for part in (RIGHTS_REFUSED[right], "main@example.com", "Enable Reading", "trusted IPs", "recon secrets set"):
        assert part in text
    assert refused.value.stops_account
    assert refused.value.exit_code == 4
    assert KEY not in text
    assert SECRET not in text


@pytest.mark.parametrize(
    ("right", "value"),
    [
        ("enableVanillaOptions", "yes"),
        ("enableReading", "yes"),
        *(("enableWithdrawals", value) for value in UNCLEAR),
    ],
)
def test_a_right_that_is_neither_granted_nor_refused_is_no_answer(
    asked: tuple[ScriptedVenue, Client], right: str, value: object
) -> None:
    venue, client = asked
    venue.plan(told(READ_ONLY | {right: value}))
    with pytest.raises(MalformedAnswer, match=f"whether the key has {right} is neither true nor false"):
        check_key(client, MAIN)


def test_a_right_to_do_more_is_refused_whatever_is_unclear_besides(asked: tuple[ScriptedVenue, Client]) -> None:
    venue, client = asked
    more = READ_ONLY | {"enableMargin": True}
    without = {name: granted for name, granted in more.items() if name != "enableWithdrawals"}
    venue.plan(told(more | {"enableWithdrawals": "maybe"}), told(without))
    for _ in range(2):
        with pytest.raises(KeyMayDoMore, match="the key may borrow and repay"):
            check_key(client, MAIN)


def test_a_key_that_may_not_read_is_of_no_use(asked: tuple[ScriptedVenue, Client]) -> None:
    venue, client = asked
    without = {name: granted for name, granted in READ_ONLY.items() if name != "enableWithdrawals"}
    venue.plan(told(READ_ONLY | {"enableReading": False}), told(without), told([]))
    with pytest.raises(ApiKeyInvalid, match="may not read"):
        check_key(client, MAIN)
    for _ in range(2):
        with pytest.raises(MalformedAnswer):
            check_key(client, MAIN)
