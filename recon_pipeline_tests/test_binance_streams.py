"""The table of Binance's streams: what is asked, how it is read, and that every documented shape is understood."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest

from recon_pipeline.transport.endpoints import NotOnReadList
from recon_pipeline.transport.errors import UnexpectedAnswer
from recon_pipeline.venues.binance import endpoints as e
from recon_pipeline.venues.binance.mapping import DOUBTS, MAPPED_STREAMS, capture_content
from recon_pipeline.venues.binance.streams import BY_NAME, STREAMS, instant_of
from recon_pipeline.venues.binance.streams.page import PAGE, with_table
from recon_pipeline.venues.drain import Drain
from recon_pipeline.venues.streams import EQUAL_ROWS, AccountFacts, RawRecord, Stated, Stream
from recon_pipeline_tests.binance_records import ALL_PRODUCTS, DESK, MAIN, READ_AT, mapped, record
from recon_pipeline_tests.binance_samples import SAMPLES

FAMILIES = {
    "SPOT",
    "FUNDING",
    "MARGIN",
    "ISOLATED_MARGIN",
    "FUTURES",
    "FUTURES_COIN",
    "OPTION",
    "EARN",
    "PORTFOLIO_MARGIN",
}
WITHOUT_ID = frozenset(
    {
        "rebates",
        "mining_earnings",
        "mining_bonuses",
        "mining_account_earnings",
        "flexible_rewards",
        "locked_rewards",
        "onchain_rewards",
        "soft_staking_rewards",
        "bfusd_subscriptions",
        "bfusd_redemptions",
        "bfusd_rewards",
        "rwusd_subscriptions",
        "rwusd_redemptions",
        "rwusd_rewards",
        "eth_staking",
        "eth_redemptions",
        "eth_wraps",
        "eth_unwraps",
        "eth_rewards",
        "sol_staking",
        "sol_redemptions",
        "sol_rewards",
        "sol_boost_rewards",
        "flexible_loan_borrows",
        "flexible_loan_repayments",
        "flexible_loan_adjustments",
        "flexible_loan_liquidations",
        "margin_small_liabilities",
        "futures_position_margin",
        "pm_pro_loans",
    }
)
"""Streams whose records have no id: their key is what they say, less what may change, and a number among equals."""
FUND, SNAPSHOT_KINDS = "fund-1_virtual@managed.example.com", ("SPOT", "MARGIN", "FUTURES")
MASTER = AccountFacts(MAIN, subs=(DESK,), products=ALL_PRODUCTS)
VERIFIED = [stream for stream in STREAMS if stream.is_verified]
each = pytest.mark.parametrize("stream", STREAMS, ids=lambda stream: stream.name)
each_verified = pytest.mark.parametrize("stream", VERIFIED, ids=lambda stream: stream.name)


# --- the read list ----------------------------------------------------------------------------------------------------


def test_what_is_not_on_the_read_list_cannot_be_asked() -> None:
    assert e.READ_LIST.find("GET", "/api/v3/myTrades").weight == 20
    for method, path in (("POST", "/api/v3/order"), ("POST", "/sapi/v1/capital/withdraw/apply"), ("GET", "/api/v3/x")):
        with pytest.raises(NotOnReadList, match=path):
            e.READ_LIST.find(method, path)


def test_only_reads_are_on_the_list_though_one_of_them_is_posted() -> None:
    posted = {endpoint.path for endpoint in e.ENDPOINTS if endpoint.method == "POST"}
    assert posted == {"/sapi/v1/asset/get-funding-asset"}
    assert len({(endpoint.method, endpoint.path) for endpoint in e.ENDPOINTS}) == len(e.ENDPOINTS)


def test_allowances_are_kept_as_the_venue_keeps_them() -> None:
    for endpoint in e.ENDPOINTS:
        family = endpoint.path.split("/")[1]
        bucket = endpoint.bucket
        if family == "sapi":
            limits = {"ip": 12_000, "account": 180_000}
            assert (bucket.name, bucket.limit, endpoint.host) == (endpoint.path, limits[bucket.per], "api")
        else:
            limits = {"api": 6_000, "fapi": 2_400, "dapi": 2_400, "eapi": 400, "papi": 6_000}
            assert (bucket.name, bucket.limit, bucket.per) == (f"/{family}", limits[family], "ip")
            assert endpoint.host == family
        assert endpoint.weight <= bucket.limit
    assert e.WITHDRAWALS.weight == 18_000
    assert e.FIAT_ORDERS.weight == 45_000
    assert e.ACCOUNT_SNAPSHOT.bucket.is_shared_with_live is False


def test_what_captures_draw_on_keeps_a_reserve() -> None:
    assert all(stream.endpoint.bucket.is_shared_with_live for stream in STREAMS if stream.role == "capture")


# --- the table --------------------------------------------------------------------------------------------------------


def test_names_are_unique_and_every_endpoint_is_on_the_read_list() -> None:
    assert len(BY_NAME) == len(STREAMS)
    assert all(stream.endpoint in e.READ_LIST for stream in STREAMS)


LEDGERS = {
    "margin_capital_flow",
    "isolated_capital_flow",
    "futures_income",
    "futures_coin_income",
    "option_bills",
    "pm_futures_income",
    "pm_futures_coin_income",
}
BY_MARKET = {"spot_trades", "allocations", "prevented_matches", "spot_orders"}
FILLS = {"margin_trades", "futures_trades", "futures_coin_trades", "option_trades"}


def horizon_days_of(stream: Stream) -> int:
    """14 unless MAPPING.md says why it is less."""
    if stream.role in {"snapshot", "capture", "reference"} or stream.name in LEDGERS:
        return 3
    return 7 if stream.name in BY_MARKET | FILLS else 14


@each
def test_an_entry_is_whole(stream: Stream) -> None:
    assert set(stream.wallets) <= FAMILIES
    assert stream.known
    assert stream.horizon_days == horizon_days_of(stream)
    assert (stream.role in {"detail", "reference"}) == (not stream.wallets) or stream.name in {
        "prevented_matches",
        "spot_orders",
    }
    if stream.paging.kind in {"page", "offset", "from_id"}:
        assert stream.paging.page_param and stream.paging.size
    if stream.paging.kind == "bisect":
        assert stream.window is not None and stream.paging.size
    if stream.window is not None and stream.window.retention is not None:
        assert stream.window.longest <= stream.window.retention


@each
def test_every_flow_is_mapped_and_detail_alone_is_not(stream: Stream) -> None:
    told = {"flow", "snapshot", "capture"}
    assert (stream.name in MAPPED_STREAMS) == (stream.role in told or stream.name in MAPPED_AS_WELL)


MAPPED_AS_WELL = {"prevented_matches", "klines", "vip_loan_orders", "spot_algo_sub_orders"}
"""Detail and reference of which the mapping says something all the same."""


def test_ledgers_are_the_only_flows_of_the_balances_that_they_tell() -> None:
    by_wallet = {
        wallet: {s.name for s in STREAMS if s.role == "flow" and wallet in s.wallets}
        for wallet in ("MARGIN", "FUTURES", "FUTURES_COIN", "OPTION")
    }
    assert by_wallet == {
        "MARGIN": {"margin_capital_flow", "margin_borrow_repay", "margin_interest"},
        "FUTURES": {"futures_income"},
        "FUTURES_COIN": {"futures_coin_income"},
        "OPTION": {"option_bills"},
    }


# --- what is asked ----------------------------------------------------------------------------------------------------


def calls(name: str, facts: AccountFacts) -> list[dict[str, str]]:
    return [dict(call) for call in BY_NAME[name].calls(facts)]


def test_a_product_that_is_not_opened_is_not_asked_for() -> None:
    spot_only = AccountFacts(MAIN, products=frozenset({"spot"}))
    asked = {stream.product for stream in STREAMS if stream.calls(spot_only)}
    assert asked == {"spot"}


def test_wallet_transfers_are_asked_by_the_types_whose_ends_are_opened() -> None:
    spot = AccountFacts(MAIN, products=frozenset({"spot"}))
    assert [call["type"] for call in calls("wallet_transfers", spot)] == ["MAIN_FUNDING", "FUNDING_MAIN"]
    types = [call["type"] for call in calls("wallet_transfers", MASTER)]
    assert len(types) == len(set(types)) == 20
    assert {t for t in types if t.startswith("MAIN_") or t.endswith("_MAIN")} >= {"MAIN_UMFUTURE", "OPTION_MAIN"}


def test_transfers_of_a_family_are_asked_by_the_master_in_both_directions() -> None:
    assert calls("universal_transfers", MASTER) == [
        {"fromEmail": MAIN},
        {"toEmail": MAIN},
        {"fromEmail": DESK},
        {"toEmail": DESK},
    ]
    assert calls("sub_user_transfers", MASTER) == []
    desk = AccountFacts(DESK, master=MAIN, products=ALL_PRODUCTS)
    assert calls("universal_transfers", desk) == []
    assert calls("sub_user_transfers", desk) == [{"type": "1"}, {"type": "2"}]


def test_what_only_the_user_knows_is_asked_for_when_it_is_configured() -> None:
    extras = {
        "isolated_symbols": ["BTCUSDT"],
        "mining_users": ["sha256:worker"],
        "subs_without_key": [DESK],
        "portfolio_margin_assets": ["BNB"],
        "managed_subs": [FUND],
        "managed_without_key": [FUND],
    }
    knowing = AccountFacts(MAIN, subs=(DESK,), products=ALL_PRODUCTS, extras=extras)
    assert calls("isolated_capital_flow", MASTER) == []
    assert calls("isolated_capital_flow", knowing) == [{"symbol": "BTCUSDT"}]
    assert calls("margin_interest", knowing) == [{}, {"isolatedSymbol": "BTCUSDT"}]
    assert calls("mining_earnings", knowing) == [{"algo": "sha256", "userName": "worker"}]
    assert calls("sub_deposits", knowing) == [{"email": DESK, "includeSource": "true"}]
    assert calls("sub_futures_account", knowing) == [{"email": DESK, "futuresType": "1"}]
    assert calls("pm_loans", knowing) == [{"asset": "BNB"}]
    assert calls("managed_transfers", knowing) == [{"email": FUND}]
    assert calls("managed_snapshots", knowing) == [{"email": FUND, "type": kind} for kind in SNAPSHOT_KINDS]
    assert calls("managed_snapshots", MASTER) == []
    assert calls("margin_trades", knowing) == [{"symbol": "BTCUSDT", "isIsolated": "TRUE"}]
    assert calls("option_bills", knowing) == [{"currency": "USDT"}]
    assert calls("dust", knowing) == [{"accountType": "SPOT"}]


def test_detail_is_asked_for_the_symbols_that_are_named_for_its_product() -> None:
    named = {"detail_symbols": ["futures:BTCUSDT", "futures_coin:BTCUSD_PERP", "margin:ETHUSDT", "spot:BNBUSDT"]}
    knowing = AccountFacts(MAIN, products=ALL_PRODUCTS, extras=named)
    assert calls("futures_trades", knowing) == [{"symbol": "BTCUSDT"}]
    assert calls("futures_coin_trades", knowing) == [{"symbol": "BTCUSD_PERP"}]
    assert calls("margin_trades", knowing) == [{"symbol": "ETHUSDT", "isIsolated": "FALSE"}]
    assert calls("spot_orders", knowing) == [{"symbol": "BNBUSDT"}]
    assert calls("option_trades", knowing) == []


def test_fills_are_asked_a_symbol_at_a_time_from_a_start_alone() -> None:
    stream = BY_NAME["spot_trades"]
    assert calls("spot_trades", MASTER) == []
    assert stream.window is not None
    assert (stream.window.start, stream.window.end, stream.paging.page_param) == ("startTime", "", "fromId")


# --- what is answered -------------------------------------------------------------------------------------------------


def test_every_stream_with_a_documented_shape_has_a_sample_and_no_other_claims_one() -> None:
    assert {stream.name for stream in VERIFIED} == set(SAMPLES)
    assert {stream.name for stream in STREAMS if not stream.is_verified} == {"convert_transfers", "auto_invest"}


@each_verified
def test_a_documented_shape_is_understood(stream: Stream) -> None:
    call, answer = SAMPLES[stream.name]
    rows = stream.rows(answer)
    assert rows
    for row in rows:
        assert set(row) <= stream.known
        assert stream.key(call, row)
        if stream.window is not None or stream.role == "flow":
            assert stream.instant(row) is not None
    if stream.role == "capture":
        content = capture_content(datetime(2026, 11, 3, 0, 5, tzinfo=UTC), date(2026, 11, 2), rows)
        records = [RawRecord(1, MAIN, stream.name, "c", call, content, "d", READ_AT)]
        if stream.wallets == ("EARN",):
            others = {"flexible_positions", "locked_positions", "onchain_positions"} - {stream.name}
            empty = content | {"rows": []}
            records += [RawRecord(1, MAIN, other, "c", {}, empty, other, READ_AT) for other in others]
    else:
        records = [record(stream.name, row, call) for row in rows]
    found = mapped(*records)
    assert [p for p in found.problems if p.kind != "not_stated"] == []
    written = [*found.transfers, *found.trades, *found.balances, *found.prices]
    assert bool(written) == (stream.role not in {"detail", "reference"} or stream.name == "klines")


def test_keys_that_rest_on_no_id_are_named_and_do_not_change_with_the_state() -> None:
    for name in WITHOUT_ID & set(SAMPLES):
        stream = BY_NAME[name]
        call, answer = SAMPLES[name]
        (row,) = stream.rows(answer)
        for field in ("status", "repayStatus", "arrivalTime"):
            if field in row:
                assert stream.key(call, {**row, field: "PENDING"}) == stream.key(call, row)
        # nor with a field that the venue adds, or with how an amount is written
        longer = {each: f"{cell}00" for each, cell in row.items() if "." in str(cell) and str(cell)[-1].isdigit()}
        amounts = {each: cell for each, cell in longer.items() if cell.replace(".", "", 1).isdigit()}
        assert stream.key(call, {**row, **amounts, "something": "new"}) == stream.key(call, row)


@pytest.mark.parametrize(
    ("kind", "name", "entry"),
    [
        ("spot", "balances", {"asset": "BTC", "free": "0.10", "locked": "0"}),
        ("margin", "userAssets", {"asset": "BTC", "free": "1", "locked": "0", "borrowed": "0.5", "interest": "0"}),
        ("futures", "assets", {"asset": "USDT", "walletBalance": "7.50", "marginBalance": "8"}),
    ],
)
def test_a_snapshot_says_the_same_in_other_words(kind: str, name: str, entry: dict[str, str]) -> None:
    says = BY_NAME[f"{kind}_snapshots"].says
    assert says is not None
    other = {**entry, "asset": "ETH"}
    zero = dict.fromkeys(entry, "0.000") | {"asset": "XRP"}

    def told(*entries: Mapping[str, Any], **data: Any) -> Any:
        return says({"type": kind, "updateTime": 1, "data": {"totalAssetOfBtc": "1", name: list(entries), **data}})

    as_told = told(entry, other)
    longer = {each: f"{cell}0" if "." in cell else cell for each, cell in entry.items()}
    assert told(other, entry) == told(longer, other, zero, totalAssetOfBtc="2") == as_told
    changed = [{**entry, each: "0.11"} for each in entry if each != "asset"]
    for wrong in (*(told(each, other) for each in changed), told(entry), told(entry, entry, other), told()):
        assert wrong != as_told
    # what cannot be read is not the same as nothing
    unread = ({**entry, "free": 1}, {**entry, "free": None})
    assert all(told(each, other) != as_told for each in unread)
    datas: Sequence[Any] = ({}, None, [], {name: None}, {name: []})
    nothing = [says({"type": kind, "updateTime": 1, "data": data}) for data in datas]
    assert all(one == other for one, other in zip(nothing, nothing, strict=True))
    assert len({str(each) for each in nothing}) == len(nothing)


@each_verified
def test_a_key_rests_on_what_names_the_record_and_not_on_all_that_it_says(stream: Stream) -> None:
    if stream.name in WITHOUT_ID or stream.role == "capture":
        return
    call, answer = SAMPLES[stream.name]
    for row in stream.rows(answer):
        assert stream.key(call, row) == stream.key(call, {**row, "something": "new"})


def test_only_keys_that_rest_on_no_id_are_told_apart_by_number() -> None:
    for name, (call, answer) in SAMPLES.items():
        if BY_NAME[name].role != "capture":
            keys = [BY_NAME[name].key(call, row) for row in BY_NAME[name].rows(answer)]
            assert all(key.startswith(EQUAL_ROWS) == (name in WITHOUT_ID) for key in keys), name


def test_keys_of_one_transfer_differ_by_the_side_that_was_asked() -> None:
    stream = BY_NAME["universal_transfers"]
    _, answer = SAMPLES["universal_transfers"]
    (row,) = stream.rows(answer)
    assert stream.key({"fromEmail": MAIN}, row) != stream.key({"toEmail": DESK}, row)


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("deposits", {"rows": []}),
        ("deposits", "<html>"),
        ("deposits", [1]),
        ("wallet_transfers", []),
        ("wallet_transfers", {"rows": {}}),
        ("converts", {}),
        ("rebates", {"code": "000000000", "data": []}),
        ("spot_snapshots", {"code": 700, "msg": "busy", "snapshotVos": []}),
        ("fiat_orders", {"code": "000001", "message": "failed", "data": []}),
        ("pay", {"success": False, "msg": "{}", "data": []}),
        ("klines", [[1, 2]]),
        ("spot_account", []),
        ("margin_capital_flow", {"code": -1003, "msg": "too many"}),
    ],
)
def test_an_answer_of_another_shape_is_refused(name: str, answer: Any) -> None:
    with pytest.raises(UnexpectedAnswer):
        BY_NAME[name].rows(answer)


@pytest.mark.parametrize(
    ("told", "total", "has_more"),
    [
        ({"total": 5}, 5, False),
        ({"total": Decimal("5.0"), "moreData": False}, 5, False),
        ({"total": "5.0", "hasMore": "false"}, 5, False),
        ({"total": "5", "totalCount": 7, "moreData": 0}, 7, False),
        ({"moreData": "true"}, None, True),
        ({"moreData": "True", "hasMore": False}, None, True),
        ({"moreData": 1, "total": 0}, 0, True),
        ({"moreData": "1"}, None, True),
        ({"total": None, "moreData": None}, None, False),
        ({"total": "", "moreData": ""}, None, False),
        ({}, None, False),
    ],
)
def test_how_long_a_list_is_may_be_told_as_a_number_or_as_text(
    told: Mapping[str, object], total: int | None, has_more: bool
) -> None:
    assert BY_NAME["converts"].stated({"list": [], **told}) == Stated(total, has_more)
    assert BY_NAME["rebates"].stated({"total": 99, "data": {"data": [], **told}}) == Stated(total, has_more)


NO_TOTALS: tuple[object, ...] = (
    *("many", {}, [], True, False, Decimal("2.5"), "NaN", "Infinity"),
    *("1e", "1e25", "1e100000000", "-1e25", "0e25"),
)
NO_FLAGS: tuple[object, ...] = ("maybe", "yes", 2, {}, [])


@pytest.mark.parametrize(
    "told",
    [
        *({"total": total} for total in NO_TOTALS),
        *({"moreData": flag} for flag in NO_FLAGS),
        {"moreData": True, "hasMore": "maybe"},
    ],
    ids=str,
)
def test_what_does_not_say_how_long_a_list_is_is_no_answer(told: Mapping[str, object]) -> None:
    stream = BY_NAME["converts"]
    drain = Drain(stream, lambda *_: SimpleNamespace(json={"list": [], **told}, response_id=17))
    with pytest.raises(UnexpectedAnswer, match=r"is no count|is neither true nor false") as refused:
        drain.call({}, (READ_AT - timedelta(days=1), READ_AT))
    assert (refused.value.endpoint, refused.value.response_id) == (str(stream.endpoint), 17)


def test_nothing_is_nothing_and_not_an_error() -> None:
    assert BY_NAME["fiat_payments"].rows({"code": "000000", "success": True}) == ()
    assert BY_NAME["deposits"].rows([]) == []
    assert BY_NAME["wallet_transfers"].rows({"total": 0}) == ()


def test_a_span_is_asked_for_by_the_names_that_the_venue_does_not_pass_over() -> None:
    other = {
        stream.name: (stream.window.start, stream.window.end)
        for stream in STREAMS
        if stream.window is not None and (stream.window.start, stream.window.end) != ("startTime", "endTime")
    }
    mining = dict.fromkeys(("mining_earnings", "mining_bonuses", "mining_account_earnings"), ("startDate", "endDate"))
    assert other == mining | {
        "fiat_orders": ("beginTime", "endTime"),
        "fiat_payments": ("beginTime", "endTime"),
        "c2c": ("startTimestamp", "endTimestamp"),
        "prediction_transfers": ("startDate", "endDate"),
        "spot_trades": ("startTime", ""),
        "allocations": ("startTime", ""),
    }


def test_pending_records_keep_a_window_open() -> None:
    assert [s for s in range(9) if BY_NAME["deposits"].is_pending({"status": s})] == [0, 6, 8]
    assert [s for s in range(9) if BY_NAME["withdrawals"].is_pending({"status": s})] == [0, 2, 4]
    assert BY_NAME["fiat_orders"].is_pending({"status": "Processing"})
    assert not BY_NAME["spot_trades"].is_pending({})
    assert BY_NAME["locked_redemptions"].is_pending({"status": "PAID", "isComplete": False})
    assert BY_NAME["cloud_mining"].is_pending({"status": "P"})
    assert BY_NAME["convert_transfers"].is_pending({"status": "P"})


@pytest.mark.parametrize(
    "value",
    [1_762_070_400, 1_762_070_400_000, 1_762_070_400_000_000, "1762070400000", "2025-11-02 08:00:00"],
)
def test_instants_are_told_by_their_magnitude(value: Any) -> None:
    assert instant_of(value) == datetime(2025, 11, 2, 8, tzinfo=UTC)


@pytest.mark.parametrize(
    "value", [None, True, "", "soon", 0, -1, 10**18, 1.5, [], "٣", "9" * 5000, "0001-01-01T00:00:00+14:00"]
)
def test_what_is_no_instant_is_none(value: Any) -> None:
    assert instant_of(value) is None


def test_windows_stay_below_what_the_venue_refuses() -> None:
    def longest(name: str) -> timedelta:
        window = BY_NAME[name].window
        assert window is not None
        return window.longest

    assert longest("deposits") < timedelta(days=90)
    assert longest("withdrawals") < timedelta(days=90)
    assert longest("universal_transfers") < timedelta(days=7)
    assert longest("spot_snapshots") < timedelta(days=30)
    assert longest("converts") == longest("flexible_rewards") == timedelta(days=30)
    assert longest("margin_capital_flow") == timedelta(days=7)
    assert longest("dividends") == timedelta(days=180)


# --- the page ---------------------------------------------------------------------------------------------------------


def test_the_page_lists_every_stream_as_it_is() -> None:
    page = PAGE.read_text()
    assert page == with_table(page), "run python -m recon_pipeline.venues.binance.streams.page and commit the result"
    titles = page.partition("## Where the shapes come from")[2]
    for stream in STREAMS:
        assert f"| `{stream.name}` |" in titles or not stream.is_verified


def test_the_page_tells_of_every_doubt_and_its_readings() -> None:
    page = PAGE.read_text()
    for doubt, readings in DOUBTS.items():
        line = next(line for line in page.splitlines() if line.startswith(f"| {doubt} |"))
        assert all(f"`{reading}`" in line for reading in readings)
