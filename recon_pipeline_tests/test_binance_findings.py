"""What records name for other streams, and what they say that nobody foresaw."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from recon_pipeline.errors import ReconError
from recon_pipeline.stores.reviews import (
    Problem,
    UnknownReview,
    list_problems,
    record_findings,
    record_problem,
    resolve_problems,
    resolve_read,
)
from recon_pipeline.transport.credentials import CredentialsMissing
from recon_pipeline.transport.errors import ApiKeyInvalid, HostBanned, NetworkError, RateLimit, VenueUnreachable
from recon_pipeline.transport.secrets_file import SecretsError
from recon_pipeline.transport.signing import CredentialsUnusable
from recon_pipeline.venues.binance.accounts import Named, note_named
from recon_pipeline.venues.binance.family import AccountUnknown
from recon_pipeline.venues.binance.findings import finding, is_open
from recon_pipeline.venues.binance.identity import WrongIdentity
from recon_pipeline.venues.binance.mapping.model import Kind
from recon_pipeline.venues.binance.mapping.model import Problem as Found
from recon_pipeline.venues.binance.problems import problem_of
from recon_pipeline.venues.sources import Residual

MAIN = "main@example.com"


def test_captures_and_interest_name_the_assets_whose_loans_are_asked_for() -> None:
    named: Named = {}
    note_named(named, MAIN, "portfolio_margin_balance", {"rows": [{"asset": "USDT"}, {"asset": "BTC"}]})
    note_named(named, MAIN, "pm_margin_interest", {"asset": "ETH", "interest": "0.1"})
    note_named(named, MAIN, "isolated_account", {"rows": [{"symbol": "BTCUSDT", "baseAsset": {}}]})
    assert named == {MAIN: {"portfolio_margin_assets": {"USDT", "BTC", "ETH"}, "isolated_symbols": {"BTCUSDT"}}}


@pytest.mark.postgres
def test_what_nobody_foresaw_waits_once_for_a_person_and_stays_resolved(database: str) -> None:
    found = [
        Found("unknown_field", MAIN, "rebates", "1", "the field moonPhase is new"),
        Found("unknown_value", MAIN, "futures_income", "7", "type MOON_LANDING_BONUS is not known"),
        Found("unknown_value", MAIN, "futures_income", "8", "type MOON_LANDING_BONUS is not known"),
    ]
    record_findings(database, "binance", [finding(each) for each in found])
    waiting = list_problems(database, "binance", for_review=True)
    assert {(entry["name"], entry["stream"], entry["account"]) for entry in waiting} == {
        ("UnknownField", "rebates", MAIN),
        ("UnknownValue", "futures_income", MAIN),
    }
    assert len(waiting) == 2
    with pytest.raises(UnknownReview, match=r"has the number 0\n"):
        resolve_problems(database, [waiting[0]["id"], 0], "it does no harm")
    assert list_problems(database, "binance", for_review=True) == waiting
    resolve_problems(database, [entry["id"] for entry in waiting], "it does no harm")
    record_findings(database, "binance", [finding(each) for each in found])
    assert list_problems(database, "binance", for_review=True) == []


@pytest.mark.postgres
@pytest.mark.parametrize("kind", ["malformed", "conflict", "not_stated"])
def test_a_second_record_whose_money_is_in_doubt_waits_although_the_first_was_resolved(
    database: str, kind: Kind
) -> None:
    first, second = (finding(Found(kind, MAIN, "sub_user_transfers", key, "another amount")) for key in ("11", "4711"))
    record_findings(database, "binance", [first])
    (entry,) = list_problems(database, "binance", for_review=True)
    resolve_problems(database, [entry["id"]], "the statement agrees")
    record_findings(database, "binance", [first, second])
    assert [entry["found"] for entry in list_problems(database, "binance", for_review=True)] == [second.found]


@pytest.mark.postgres
def test_what_was_read_since_closes_by_itself_and_nothing_else_does(database: str) -> None:
    def record(found: str, kind: str, stream: str | None, account: str | None = MAIN, **more: Any) -> None:
        record_problem(database, "binance", Problem(found, found, kind, stream=stream, account=account, **more))

    for symbol in ("BTCUSDT", "ETHUSDT"):
        record("cut off", "NETWORK_ERROR", "spot_trades", symbol=symbol)
    record("too many", "RATE_LIMIT", "spot_trades")
    record("host", "NETWORK_ERROR", None)
    record("of everybody", "NETWORK_ERROR", "klines", account=None)
    record("another stream", "NETWORK_ERROR", "deposits")
    record("another account", "NETWORK_ERROR", "spot_trades", account="desk")
    record("refused", "PARAMETER_ERROR", "spot_trades")
    record("for a person", "NETWORK_ERROR", "spot_trades", needs_manual_review=True)
    record("key refused", "API_KEY_INVALID", "spot_trades", needs_manual_review=True)
    record("key refused elsewhere", "API_KEY_INVALID", "deposits", needs_manual_review=True)
    record_problem(database, "other", Problem("other", "other", "NETWORK_ERROR", stream="spot_trades", account=MAIN))
    assert resolve_read(database, "binance", []) == 0
    assert resolve_read(database, "binance", {(MAIN, "spot_trades"), (MAIN, None), (None, "klines")}) == 6
    left = {"another stream", "another account", "refused", "for a person", "key refused elsewhere", "other"}
    assert {entry["name"] for entry in list_problems(database)} == left
    closed = [entry for entry in list_problems(database, with_resolved=True) if entry["resolved_at"]]
    assert {entry["resolution_notes"] for entry in closed} == {"read since"}


def test_what_a_whole_host_fails_with_is_one_entry_of_the_account() -> None:
    asked = [
        ("/myTrades", "spot_trades", "BTCUSDT"),
        ("/myTrades", "spot_trades", "ETHUSDT"),
        ("/deposit", "deposits", None),
    ]
    of_host = [
        problem_of(VenueUnreachable("no answer", venue="binance", endpoint=path, account=MAIN), MAIN, stream, symbol)
        for path, stream, symbol in asked
    ]
    assert len({each.fingerprint for each in of_host}) == 1
    assert (of_host[0].account, of_host[0].stream, of_host[0].symbol) == (MAIN, None, None)
    assert problem_of(HostBanned("banned"), MAIN, "spot_trades", "BTCUSDT").stream is None
    limited = problem_of(RateLimit("limited"), MAIN, "spot_trades", "BTCUSDT")
    assert (limited.stream, limited.symbol) == ("spot_trades", None)
    alone = problem_of(NetworkError("cut off"), MAIN, "spot_trades", "BTCUSDT")
    assert (alone.stream, alone.symbol) == ("spot_trades", "BTCUSDT")


@pytest.mark.parametrize("error", [CredentialsMissing, CredentialsUnusable, SecretsError, WrongIdentity, ApiKeyInvalid])
def test_what_is_wrong_with_a_key_is_of_its_kind_whether_the_venue_says_so_or_not(error: type[ReconError]) -> None:
    assert problem_of(error("no key"), MAIN, "account_info").kind == "API_KEY_INVALID"
    assert problem_of(AccountUnknown("nobody said"), MAIN, "account_info").kind == "UNKNOWN"


@pytest.mark.parametrize("kind", ["unknown_field", "unknown_value", "not_stated", "malformed", "conflict"])
def test_every_kind_of_finding_says_what_to_do(kind: Kind) -> None:
    entry: Problem = finding(Found(kind, MAIN, "rebates", "1", "something is odd"))
    assert entry.needs_manual_review
    assert entry.found == "rebates 1: something is odd"
    assert entry.next_step


def test_an_amount_that_is_not_stated_matters_where_something_is_unexplained_that_day() -> None:
    settled = Found("not_stated", MAIN, "dual_investments", "1", "settled", instant=datetime(2026, 1, 4, 8, tzinfo=UTC))
    undated = Found("not_stated", MAIN, "fiat_orders", "2", "credited in part")

    def residuals(account: str, day: int, days: int = 1) -> dict[tuple[str, str, date], dict[str, Residual]]:
        return {(account, "SPOT", date(2026, 1, day)): {"USDT": Residual(Decimal(5), days=days)}}

    assert [is_open(settled, residuals(MAIN, day)) for day in (3, 4, 5)] == [False, True, False]
    assert [is_open(settled, residuals(MAIN, day, 2)) for day in (4, 5, 6)] == [True, True, False]
    assert [is_open(undated, residuals(account, 3)) for account in (MAIN, "desk")] == [True, False]
