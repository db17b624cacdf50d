"""Binance's table of errors and what its headers say, as the facts sheet has them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from recon_pipeline.transport.dialect import Refusal, Remedy
from recon_pipeline.transport.endpoints import Bucket, Endpoint
from recon_pipeline.transport.errors import (
    AccountNotThere,
    ApiKeyInvalid,
    ClockRefused,
    CountryRefused,
    ErrorKind,
    FirewallRefused,
    HostBanned,
    InsufficientBalance,
    InvalidSymbol,
    NetworkError,
    NotMainAccount,
    ParameterError,
    ProductNotEnabled,
    RateLimit,
    UnknownVenueError,
    VenueError,
    WindowTooLong,
    WindowTooOld,
)
from recon_pipeline.venues.binance import endpoints as e
from recon_pipeline.venues.binance.dialect import BinanceDialect
from recon_pipeline_tests.transport_venue import INCOME, SNAPSHOT, TRADES

DIALECT = BinanceDialect()
WITHDRAWALS = Endpoint(
    "GET", "/sapi/v1/capital/withdraw/history", "api", 18000, Bucket("/x", 180000, "account"), "signed"
)

TABLE: list[tuple[tuple[int, ...], type[VenueError], ErrorKind, Remedy]] = [
    ((-1003, -1015, -12014, -4005), RateLimit, ErrorKind.RATE_LIMIT, Remedy.WAIT),
    ((-1021,), ClockRefused, ErrorKind.NETWORK_ERROR, Remedy.SET_CLOCK),
    ((-2015,), ApiKeyInvalid, ErrorKind.API_KEY_INVALID, Remedy.SUSPECT_BAN),
    ((-1022, -2014, -2008, -1002, -1099, -4004, -2017), ApiKeyInvalid, ErrorKind.API_KEY_INVALID, Remedy.NONE),
    (
        (-1100, -1101, -1102, -1103, -1104, -1105, -1106, -1108, -1111, -1116, -1117, -1120, -1128, -1130, -1131, -1134,
         -1135, -1023),
        ParameterError, ErrorKind.PARAMETER_ERROR, Remedy.NONE,
    ),
    ((-1127, -4047, -6021), WindowTooLong, ErrorKind.PARAMETER_ERROR, Remedy.NONE),
    ((-4166,), WindowTooOld, ErrorKind.PARAMETER_ERROR, Remedy.NONE),
    ((-4003, -4006), NotMainAccount, ErrorKind.PARAMETER_ERROR, Remedy.NONE),
    ((-1121, -1220, -3027, -3028, -3002, -4018), InvalidSymbol, ErrorKind.INVALID_SYMBOL, Remedy.NONE),
    ((-3003,), AccountNotThere, ErrorKind.UNKNOWN, Remedy.NONE),
    ((-2010, -2018, -2019, -3041, -4026), InsufficientBalance, ErrorKind.INSUFFICIENT_BALANCE, Remedy.NONE),
    ((-1000, -1001, -1006, -1007, -1008, -1004, -1016, -3000, -3044), NetworkError, ErrorKind.NETWORK_ERROR,
     Remedy.TRY_AGAIN),
    ((-9999, -1234, -7001), UnknownVenueError, ErrorKind.UNKNOWN, Remedy.NONE),
]  # fmt: skip


def classify(body: Any, status: int = 400, endpoint: Endpoint = TRADES, **headers: str) -> Refusal | None:
    named = {name.replace("_", "-").lower(): text for name, text in headers.items()}
    return DIALECT.classify(endpoint, status, named, body)


@pytest.mark.parametrize(
    ("code", "error", "kind", "remedy"),
    [(code, error, kind, remedy) for codes, error, kind, remedy in TABLE for code in codes],
)
def test_every_code_of_the_sheet(code: int, error: type[VenueError], kind: ErrorKind, remedy: Remedy) -> None:
    for status in (400, 200):
        found = classify({"code": code, "msg": "some words"}, status)
        assert found is not None
        assert (found.error, found.error.kind, found.remedy, found.code, found.message) == (
            error, kind, remedy, str(code), "some words",
        )  # fmt: skip


@pytest.mark.parametrize(
    ("status", "error", "remedy"),
    [
        (500, NetworkError, Remedy.TRY_AGAIN),
        (502, NetworkError, Remedy.TRY_AGAIN),
        (504, NetworkError, Remedy.TRY_AGAIN),
        (429, RateLimit, Remedy.WAIT),
        (418, HostBanned, Remedy.WAIT),
        (401, ApiKeyInvalid, Remedy.NONE),
        (403, FirewallRefused, Remedy.NONE),
        (451, CountryRefused, Remedy.NONE),
        (404, UnknownVenueError, Remedy.NONE),
        (302, UnknownVenueError, Remedy.NONE),
    ],
)
def test_a_status_without_a_word(status: int, error: type[VenueError], remedy: Remedy) -> None:
    found = classify(None, status)
    assert found is not None
    assert (found.error, found.remedy) == (error, remedy)


def test_a_403_with_a_code_of_the_venues_own_is_no_firewalls() -> None:
    found = classify({"code": -31417, "msg": "Not for this market."}, 403)
    assert found is not None
    assert (found.error, found.code) == (UnknownVenueError, "-31417")


@pytest.mark.parametrize("code", [-8012, -12022])
def test_an_account_without_a_family_is_told_of_by_its_own_endpoints_alone(code: int) -> None:
    for endpoint in (e.SUB_ACCOUNTS, e.SUB_USER_TRANSFERS, e.UNIVERSAL_TRANSFERS):
        found = classify({"code": code, "msg": "Sub-account function is not enabled."}, endpoint=endpoint)
        assert found is not None and found.error is NotMainAccount
    for endpoint in (e.DEPOSITS, e.SUB_DEPOSITS, TRADES):
        found = classify({"code": code, "msg": "some words"}, endpoint=endpoint)
        assert found is not None and found.error is UnknownVenueError


NOT_OPEN = [
    INCOME, e.SUB_ACCOUNTS, e.SUB_ASSETS, e.SUB_DEPOSITS, e.MANAGED_SNAPSHOT, e.CUSTODY_TRANSFERS, e.MARGIN_ACCOUNT,
    e.ISOLATED_ACCOUNT, e.FUTURES_POSITION_MARGIN, e.FUTURES_COIN_BALANCE, e.OPTION_BILLS, e.PM_BALANCE, e.PM_PRO_LOANS,
    e.PREDICTION_TRANSFERS, e.MINING_EARNINGS, e.MINING_ACCOUNT_EARNINGS, e.EQUITY_TRADES, e.EQUITY_TOKENS,
    e.VIP_LOAN_ORDERS,
]  # fmt: skip


@pytest.mark.parametrize("endpoint", NOT_OPEN, ids=str)
def test_a_refused_key_elsewhere_says_that_the_product_is_not_open(endpoint: Endpoint) -> None:
    for body in ({"code": -2015, "msg": "Invalid API-key, IP, or permissions for action."}, None):
        found = classify(body, 401, endpoint)
        assert found is not None
        assert (found.error, found.remedy) == (ProductNotEnabled, Remedy.NONE)
    wrong = classify({"code": -2008, "msg": "Invalid Api-Key ID."}, 401, endpoint)
    assert wrong is not None
    assert wrong.error is ApiKeyInvalid
    assert not ProductNotEnabled.stops_account
    assert ApiKeyInvalid.stops_account


@pytest.mark.parametrize("endpoint", [e.ACCOUNT, e.MY_TRADES, e.ACCOUNT_INFO, e.ACCOUNT_SNAPSHOT, e.DEPOSITS], ids=str)
def test_a_refused_key_where_every_account_is_told_is_no_good(endpoint: Endpoint) -> None:
    for body in ({"code": -2015, "msg": "Invalid API-key, IP, or permissions for action."}, None):
        found = classify(body, 401, endpoint)
        assert found is not None
        assert found.error is ApiKeyInvalid


@pytest.mark.parametrize(
    "body",
    [
        {"code": 200, "msg": "", "snapshotVos": []},
        {"code": "000000", "message": "success", "data": [], "success": True},
        {"code": "000000000", "status": "OK", "type": "GENERAL", "data": {"data": []}},
        {"code": 0, "msg": "", "data": []},
        {"code": "200", "msg": "success"},
        {"code": "NOT_AN_ENVELOPE", "value": 1},
        {"rows": [], "total": 0},
        {"msg": "only words"},
        [],
        [{"code": -1121, "msg": "inside a record"}],
        None,
    ],
)
def test_what_is_no_error(body: Any) -> None:
    assert classify(body, 200) is None


def test_an_error_in_a_body_of_success() -> None:
    inner = json.dumps({"code": -1003, "msg": "Too many requests"})
    found = classify({"success": False, "msg": inner}, 200)
    assert found is not None
    assert (found.error, found.code) == (RateLimit, "-1003")
    for body, code in (
        ({"success": False, "msg": "no JSON {"}, "success:false"),
        ({"success": False, "msg": "{broken"}, "success:false"),
        ({"code": "000002", "message": "illegal parameter", "data": None, "success": False}, "000002"),
        ({"code": "-1121", "msg": "as text"}, "-1121"),
        ({"code": 345, "msg": "positive"}, "345"),
    ):
        found = classify(body, 200)
        assert found is not None
        assert found.code == code
    assert found.error is UnknownVenueError


@pytest.mark.parametrize(
    ("body", "remedy"),
    [
        ({"code": "-1021", "errorMessage": "outside of the recvWindow"}, Remedy.SET_CLOCK),
        ({"code": -1003}, Remedy.WAIT),
        ({"code": "-1001", "data": None}, Remedy.TRY_AGAIN),
    ],
)
def test_a_code_of_the_venues_own_needs_no_words_beside_it(body: Any, remedy: Remedy) -> None:
    found = classify(body, 200)
    assert found is not None
    assert (found.remedy, found.code) == (remedy, str(body["code"]))
    assert classify({"code": -17, "value": 1}, 200) is None


def test_how_long_the_venue_wants_us_to_wait() -> None:
    told_at, until = "Thu, 01 Jan 2026 00:00:30 GMT", "Thu, 01 Jan 2026 00:01:00 GMT"
    waits = {"7": 7, "0": 0, until: 30, "soon": None, "-5": None, "": None, "١": None, "9" * 5000: None,
             "Thu, 01 Jan 2026 00:01:00 +99999999999999": None}  # fmt: skip
    for text, seconds in waits.items():
        found = classify(None, 429, Retry_After=text, Date=told_at)
        assert found is not None
        assert found.wait_seconds == seconds


def test_until_when_an_address_is_banned() -> None:
    words = "Way too much request weight used; IP(203.0.113.7) banned until 1767225720000. Please use WebSocket."
    for status in (418, 429, 403):
        found = classify({"code": -1003, "msg": words}, status)
        assert found is not None
        assert found.error is HostBanned
        assert found.until == datetime(2026, 1, 1, 0, 2, tzinfo=UTC)
    endless = classify(None, 418)
    assert endless is not None
    assert (endless.wait_seconds, endless.until) == (None, None)


def test_the_used_weight_stands_in_the_header_of_its_family() -> None:
    headers = {
        "x-mbx-used-weight-1m": "21",
        "x-sapi-used-ip-weight-1m": "2400",
        "x-sapi-used-uid-weight-1m": "18000",
    }
    used = [DIALECT.used_weight(endpoint, headers) for endpoint in (TRADES, INCOME, SNAPSHOT, WITHDRAWALS)]
    assert used == [21, 21, 2400, 18000]
    for nonsense in ("", "-1", "1.5", "²", "9" * 5000):
        assert DIALECT.used_weight(TRADES, {"x-mbx-used-weight-1m": nonsense}) is None


def test_the_venues_time_is_a_whole_number_of_milliseconds() -> None:
    assert DIALECT.server_time({"serverTime": 1767225600123}) == datetime(2026, 1, 1, 0, 0, 0, 123000, tzinfo=UTC)
    refused: list[Any] = [{}, {"serverTime": "1767225600123"}, {"serverTime": True}, [], None]
    for body in refused:
        with pytest.raises((LookupError, TypeError, ValueError)):
            DIALECT.server_time(body)
