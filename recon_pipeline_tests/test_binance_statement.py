"""The statement that a user downloads, row by row against what the API told."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa
import yaml
from click.testing import CliRunner

from recon_pipeline.cli_venues import compare
from recon_pipeline.config import VenueSettings, load_settings
from recon_pipeline.errors import ConfigError
from recon_pipeline.sandbox.binance import make_world
from recon_pipeline.sandbox.binance.home import recon_yaml
from recon_pipeline.stores.database import connection
from recon_pipeline.stores.raw import DayRead, RawStore
from recon_pipeline.venues.binance.comparing import _days_read, compare_statements
from recon_pipeline.venues.binance.statement import (
    HEADER,
    LOCAL_HEADER,
    Line,
    NotAStatement,
    Statement,
    downloads,
    flow_lines,
    read_statement,
    told_once,
    unmatched,
)
from recon_pipeline.venues.binance.statement_zone import OtherZone, other_zone, zone_name
from recon_pipeline_tests.binance_home import ONE_DAY, VENUE, binance_home, midnight

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
MAIN = "main@example.com"
FEES = """
    SELECT source, bool_or(external_id LIKE '%reversal') FROM (
        SELECT source, external_id, txn_subtype FROM recon.transfers
        UNION ALL
        SELECT source, external_id, txn_subtype FROM recon.trades
    ) AS flows
    WHERE txn_subtype IN ('withdrawal_fee', 'dust_fee', 'equity_fee')
    GROUP BY source
"""
"""Whose fees the statement tells together with what they were paid for, and whether any came back."""


def flow(amount: str, *, asset: str = "USDT", wallet: str = "SPOT", seconds: float = 0, event: str = "e1") -> Line:
    at, place = NOON + timedelta(seconds=seconds), f"{event} {asset} {amount} {seconds}"
    return Line("api", MAIN, wallet, asset, Decimal(amount), at, "flow", place, (event,))


def stored(
    amount: str, name: str, *, source: str = "withdrawals", record: str = "r1", order: str | None = None, **late: float
) -> Line:
    """A flow as the frames hold it."""
    row = {
        "account": MAIN,
        "wallet": "SPOT",
        "asset": "USDT",
        "amount": Decimal(amount),
        "datetime": NOON + timedelta(**late),
        "txn_subtype": "flow",
        "source": source,
        "external_id": name,
        "raw_id": record,
        "agg_id": order,
    }
    (line,) = flow_lines([row])
    return line


def told(amount: str, *, asset: str = "USDT", wallet: str | None = "SPOT", seconds: float = 0) -> Line:
    at = NOON + timedelta(seconds=seconds)
    return Line("statement", MAIN, wallet, asset, Decimal(amount), at, "Deposit", f"line {amount} {seconds}")


def statement(folder: Path, *rows: str, header: str = ",".join(HEADER), name: str = "statement.csv") -> Path:
    path = folder / name
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return path


def test_what_both_tell_is_not_listed() -> None:
    assert (
        unmatched([told("100"), told("-0.1", asset="BNB")], [flow("-0.1", asset="BNB"), flow("100", seconds=3)]) == []
    )


def test_what_one_side_tells_alone_is_listed_row_by_row() -> None:
    alone, untold = told("5", asset="AXS"), flow("-7", seconds=60)
    assert unmatched([told("100"), alone], [untold, flow("100")]) == [alone, untold]


def test_a_withdrawal_is_told_with_its_fee() -> None:
    assert unmatched([told("-9")], [flow("-8.5", event="w1"), flow("-0.5", event="w1")]) == []


@pytest.mark.parametrize("seconds", [0, 3, 3600])
def test_a_withdrawal_that_comes_back_is_two_events_however_soon(seconds: float) -> None:
    flows = [
        stored("-4644", "w:amt"),
        stored("-1", "w:fee"),
        stored("4644", "w:amt:reversal", seconds=seconds),
        stored("1", "w:fee:reversal", seconds=seconds),
    ]
    assert unmatched([told("-4645"), told("4645", seconds=seconds)], flows) == []
    assert unmatched([told("-4645")], flows) == sorted(flows[2:], key=lambda line: line.place)


def test_each_leg_of_a_conversion_of_dust_is_told_less_its_fee() -> None:
    legs = [
        stored(amount, f"1:{coin}:{leg}", source="dust", order=f"1:{coin}")
        for coin in ("XRP", "SOL", "EUR")
        for leg, amount in (("to", "0.00178387"), ("fee", "-0.00003567"))
    ]
    assert unmatched([told("0.00174820")] * 3, legs) == []
    assert unmatched([told("0.00524460")], legs) == []
    assert unmatched([told("0.00174820")] * 2, legs) == legs[1::-1]


def test_the_fee_of_an_order_for_shares_is_told_by_another_record() -> None:
    trade = stored("-24.6", "exec-1:quote", source="equity_trades", record="r1", order="o1")
    another = stored("-9", "exec-2:quote", source="equity_trades", record="r2", order="o1")
    fee = stored("-0.1", "o1:fee", source="equity_orders", record="r3", order="o1")
    assert unmatched([told("-24.7")], [trade, fee]) == []
    assert unmatched([told("-24.7"), told("-9")], [trade, another, fee]) == []
    assert len(unmatched([told("-24.7")], [trade, stored("-0.1", "o2:fee", record="r3", order="o2")])) == 3


def test_a_part_of_one_event_is_not_spent_on_a_row_that_another_flow_meets() -> None:
    flows = [stored("-5", "w:amt"), stored("-1", "w:fee"), stored("-5", "v:amt", record="r2", seconds=1)]
    assert unmatched([told("-5", seconds=-1), told("-6")], flows) == []


def test_what_is_tied_but_adds_up_to_another_amount_is_listed() -> None:
    row, flows = told("-9.4999"), [stored("-8.5", "w:amt"), stored("-1", "w:fee")]
    assert unmatched([row], flows) == [row, *flows]


def test_rows_of_one_amount_share_flows_so_that_as_many_as_can_have_one() -> None:
    assert unmatched([told("1"), told("1", seconds=3)], [flow("1", seconds=-3), flow("1", seconds=2)]) == []


def test_two_rows_of_one_amount_need_two_flows() -> None:
    assert unmatched([told("1"), told("1", seconds=1)], [flow("1")]) == [told("1", seconds=1)]


def test_another_wallet_or_another_minute_is_another_event() -> None:
    assert len(unmatched([told("1")], [flow("1", wallet="FUNDING")])) == 2
    assert len(unmatched([told("1")], [flow("1", seconds=6)])) == 2


def test_a_token_in_spot_is_what_lies_in_earn() -> None:
    """But a coin whose name begins alike is itself, and each flow is told once."""
    told = [("USDT", "-5"), ("LDUSDT", "5"), ("BAKE", "-7"), ("LDBAKET", "7"), ("LDO", "3"), ("LDUSDT", "5")]
    rows = [replace(flow(amount, asset=asset), side="statement") for asset, amount in told]
    spot = [flow("-5"), flow("-7", asset="BAKE")]
    earn = [flow(amount, asset=asset, wallet="EARN") for asset, amount in (("USDT", "5"), ("BAKE", "7"), ("O", "3"))]
    left = unmatched(rows, [*spot, *earn])
    assert [(line.side, line.asset) for line in left] == [("statement", "LDO"), ("statement", "LDUSDT"), ("api", "O")]


def test_an_account_of_the_statement_without_a_wallet_here_may_be_any() -> None:
    assert unmatched([told("1", wallet=None)], [flow("1", wallet="FUNDING")]) == []
    rows, flows = [told("1", wallet=None), told("1", seconds=1)], [flow("1"), flow("1", wallet="FUNDING", event="e2")]
    assert unmatched(rows, flows) == []


def test_what_two_statements_of_the_same_time_tell_is_told_once(tmp_path: Path) -> None:
    twice = ["7,2026-03-01 12:00:00,Spot,Distribution,BNB,0.1,"] * 2
    longer = [*twice, "7,2026-03-02 12:00:00,Spot,Deposit,BNB,1,"]
    # the same day as the site tells it where it is three hours later
    local = ["7,26-03-01 15:00:00,Spot,Distribution,BNB,0.1,", "7,26-03-03 02:59:59,Spot,Deposit,BNB,2,"]
    files = [
        statement(tmp_path, *twice, name="1.csv"),
        statement(tmp_path, *longer, name="2.csv"),
        statement(tmp_path, *local, name="3(UTC+3).csv", header=",".join(LOCAL_HEADER)),
    ]
    lines = told_once(downloads(read_statement(path, {"7": MAIN}) for path in files))
    assert [line.amount for line in lines] == [Decimal(amount) for amount in ("0.1", "0.1", "1", "2")]


def test_what_ends_one_part_of_a_download_and_begins_the_next_is_told_twice(tmp_path: Path) -> None:
    row = "7,2026-03-01 12:00:00,Spot,Distribution,BNB,0.1,"
    names = ("part1-of2", "part2-of2", "part2-of2 (1)", "part2-of4", "part4-of4")
    read = [read_statement(statement(tmp_path, row, name=f"history-{name}.csv"), {"7": MAIN}) for name in names]
    assert [len(lines) for lines in downloads(read)] == [1, 2, 1, 1]
    assert len(told_once(downloads(read))) == 2


def test_a_downloaded_file_is_read_exactly(tmp_path: Path) -> None:
    path = statement(tmp_path, '7,2026-03-01 12:00:00,Spot,Deposit,SHIB,"123456789.00000001",')
    (line,) = read_statement(path, {"7": MAIN}).lines
    assert (line.account, line.wallet, line.asset, line.amount) == (MAIN, "SPOT", "SHIB", Decimal("123456789.00000001"))


@pytest.mark.parametrize(
    ("name", "hour"),
    [
        ("Binance-Transaction-History-202603041234(UTC--6).csv", 18),
        ("Binance-Transaction-History-202603041234(UTC-6)-part1-of1.csv", 18),
        ("Binance-Transaction-History-202603041234(UTC+1)_818070aa.csv", 11),
        ("Binance-Riwayat-Transaksi-202603041234(UTC+10) (1).csv", 2),
        ("history(UTC+0).csv", 12),
        ("history(utc).csv", 12),
        ("history(UTC+5:30).csv", 6.5),
        ("history(UTC+5_30).csv", 6.5),
        ("history(UTC+5-30).csv", 6.5),
        ("history(UTC+0530).csv", 6.5),
        ("history(UTC+5.5).csv", 6.5),
        ("history(UTC--3-30).csv", 15.5),
        ("history(UTC+5:45).csv", 6.25),
    ],
)
@pytest.mark.parametrize("year", ["2026", "26"])
def test_a_time_is_of_the_zone_that_the_name_of_its_file_states(
    tmp_path: Path, name: str, hour: float, year: str
) -> None:
    row = f"7,{year}-03-01 12:00:00,Spot,Deposit,USDT,25,"
    read = read_statement(statement(tmp_path, row, header=",".join(LOCAL_HEADER), name=name), {"7": MAIN})
    assert [line.at for line in read.lines] == [NOON + timedelta(hours=hour - 12)]
    assert read.ahead == timedelta(hours=12 - hour)


def test_midnight_of_the_zone_may_be_of_the_year_before(tmp_path: Path) -> None:
    row = "7,26-01-01 00:30:00,Spot,Deposit,USDT,25,"
    path = statement(tmp_path, row, header=",".join(LOCAL_HEADER), name="history(UTC+1).csv")
    assert read_statement(path, {"7": MAIN}).lines[0].at == datetime(2025, 12, 31, 23, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("header", "name", "found"),
    [
        (LOCAL_HEADER, "history.csv", "Time is in a time zone that its name does not state"),
        (LOCAL_HEADER, "history UTC+3.csv", "Time is in a time zone that its name does not state"),
        (LOCAL_HEADER, "history(UTC+3)(UTC+2).csv", r"states the offset \(UTC\+3\) and \(UTC\+2\)"),
        (LOCAL_HEADER, "history(UTCnull).csv", r"states the offset \(UTCnull\)"),
        (LOCAL_HEADER, "history(UTC+15).csv", r"states the offset \(UTC\+15\)"),
        (LOCAL_HEADER, "history(UTC+5.30).csv", r"states the offset \(UTC\+5.30\)"),
        (HEADER, "history(UTC+3).csv", r"its column is UTC_Time, its name says \(UTC\+3\)"),
    ],
)
def test_a_file_whose_times_may_be_of_another_zone_is_refused(
    tmp_path: Path, header: tuple[str, ...], name: str, found: str
) -> None:
    path = statement(tmp_path, "7,2026-03-01 12:00:00,Spot,Deposit,BTC,1,", header=",".join(header), name=name)
    with pytest.raises(NotAStatement, match=found) as refused:
        read_statement(path, {"7": MAIN})
    assert refused.value.where == name
    assert "set the time zone of Binance's site to UTC" in refused.value.next_step


@pytest.mark.parametrize("name", ["history.csv", "history(UTC+0).csv", "history(UTC).csv"])
def test_utc_time_needs_no_offset(tmp_path: Path, name: str) -> None:
    row = "7,26-03-01 12:00:00,Spot,Deposit,BTC,1,"
    assert read_statement(statement(tmp_path, row, name=name), {"7": MAIN}).lines[0].at == NOON


@pytest.mark.parametrize(
    "header",
    [
        "User ID,UTC Time,Account,Operation,Coin,Change,Remark",
        "user_id,utc_time,account,operation,coin,change,remark",
        "USERID, UTCTime ,Account,Operation,Coin,Change,Remark",
        "User_ID,Time,Account,Operation,Coin,Change,Remark",
    ],
)
def test_a_header_is_known_however_it_is_spaced(tmp_path: Path, header: str) -> None:
    path = statement(tmp_path, "7,2026-03-01 12:00:00,Spot,Deposit,BTC,1,", header=header, name="history(UTC+0).csv")
    assert [(line.asset, line.at) for line in read_statement(path, {"7": MAIN}).lines] == [("BTC", NOON)]


@pytest.mark.parametrize(
    "header",
    [
        "User ID,Time,Account,Operation,Coin,Change",
        "User ID,Time,Account,Operation,Coin,Change,Remark,Balance",
        "User ID,Time,Account,Operation,Change,Coin,Remark",
        "User ID,Date,Account,Operation,Coin,Change,Remark",
        "Identifiant utilisateur,Durée,Compte,Opération,Jeton,Change,Remarque",
    ],
)
def test_a_header_with_another_column_is_of_no_statement(tmp_path: Path, header: str) -> None:
    with pytest.raises(NotAStatement, match="its columns are") as refused:
        read_statement(statement(tmp_path, header=header, name="history(UTC+0).csv"), {})
    assert "the site in English" in refused.value.next_step


@pytest.mark.parametrize(
    ("names", "wallet"),
    [
        (("Spot", "SPOT"), "SPOT"),
        (("Funding", "P2P", "Card"), "FUNDING"),
        (("Cross Margin", "CrossMargin", "Margin"), "MARGIN"),
        (("Isolated Margin", "IsolatedMargin"), "ISOLATED_MARGIN"),
        (("USD-M Futures", "USD-MFutures", "USDⓈ-M Futures", "USDT-Futures", "usd_m futures"), "FUTURES"),
        (("Coin-M Futures", "COIN-MFutures", "Coin-Futures"), "FUTURES_COIN"),
        (("Option", "Options"), "OPTION"),
        (("Earn", "Simple Earn", "Savings"), "EARN"),
        (("Pool", "Third-Party Wallet", ""), None),
    ],
)
def test_an_account_has_its_wallet_however_it_is_written(
    tmp_path: Path, names: tuple[str, ...], wallet: str | None
) -> None:
    path = statement(tmp_path, *(f"7,2026-03-01 12:00:00,{name},Fee,USDT,-1," for name in names))
    assert {line.wallet for line in read_statement(path, {"7": MAIN}).lines} == {wallet}


def test_what_usd_futures_paid_is_not_met_by_spot(tmp_path: Path) -> None:
    path = statement(tmp_path, "7,2026-03-01 12:00:00,USD-M Futures,Funding Fee,USDT,-1,")
    rows = read_statement(path, {"7": MAIN}).lines
    assert unmatched(rows, [flow("-1", wallet="FUTURES")]) == []
    assert len(unmatched(rows, [flow("-1", wallet="SPOT")])) == 2


@pytest.mark.parametrize(
    ("row", "found"),
    [
        ("8,2026-03-01 12:00:00,Spot,Deposit,BTC,1,", "a User_ID that no account has"),
        ("7,yesterday,Spot,Deposit,BTC,1,", "the time is no instant"),
        ("7,2026-03-01 12:00:00,Spot,Deposit,BTC,1.0000000000000000001,", "Coin or Change cannot be read"),
        ("7,2026-03-01 12:00:00,Spot,Deposit,,1,", "Coin or Change cannot be read"),
        ("7,0001-01-01 00:00:00,Spot,Deposit,BTC,1,", "the time is no instant"),
        ("7,99-01-01 00:00:00,Spot,Deposit,BTC,1,", "the time is no instant"),
        ("7,26-03-01 12:00,Spot,Deposit,BTC,1,", "the time is no instant"),
        ("7,2026-03-01 12:00:00,Spot,Deposit,BTC,1,500.25,", "8 fields"),
        ('7,2026-03-01 12:00:00,Spot,Deposit,BTC,"1""', "unexpected end of data"),
    ],
)
def test_a_row_that_cannot_be_read_is_named(tmp_path: Path, row: str, found: str) -> None:
    with pytest.raises(NotAStatement, match=found) as refused:
        read_statement(statement(tmp_path, row), {"7": MAIN})
    assert "statement.csv, line 2" in str(refused.value)


def test_a_line_is_named_as_an_editor_counts_it(tmp_path: Path) -> None:
    rows = ['7,2026-03-01 12:00:00,Spot,Deposit,BTC,1,"two', 'lines"', "", "7,yesterday,Spot,Deposit,BTC,1,"]
    with pytest.raises(NotAStatement) as refused:
        read_statement(statement(tmp_path, *rows), {"7": MAIN})
    assert "statement.csv, line 5" in str(refused.value)


def test_a_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    path = statement(tmp_path, "7,2026-03-01 12:00:00,Spot,Deposit,BTC,1,")
    path.write_bytes(path.read_text(encoding="utf-8").encode("utf-16"))
    with pytest.raises(NotAStatement, match=r"no text in UTF-8[^$]*statement\.csv"):
        read_statement(path, {"7": MAIN})


def test_another_file_is_no_statement(tmp_path: Path) -> None:
    with pytest.raises(NotAStatement, match="its columns are a, b"):
        read_statement(statement(tmp_path, header="a,b"), {})


def venue_of(folder: Path, **user_ids: int | None) -> VenueSettings:
    """A venue of accounts with their numbers, and a folder for their statements."""
    (folder / "statements" / VENUE).mkdir(parents=True)
    config = folder / "recon.yaml"
    accounts = ", ".join(f"{name}@example.com: {{user_id: {number or 'null'}}}" for name, number in user_ids.items())
    config.write_text(f"start: 2026-01-01\nvenues: {{binance: {{kind: binance, accounts: {{{accounts}}}}}}}\n")
    return load_settings(config).venues[VENUE]


def store(url: str, *flows: Line) -> None:
    """Flows as the pipeline has published them."""
    insert = (
        "INSERT INTO recon.transfers (venue, account, wallet, source, external_id, datetime, txn_type, txn_subtype,"
        " measure, asset, amount, raw_id) VALUES (:venue, :account, :wallet, 'deposits', :name, :at, 'transfer_in',"
        " 'deposit', 'balance', :asset, :amount, :name)"
    )
    with connection(url, "storing flows") as opened:
        for number, flow in enumerate(flows):
            told = {"account": flow.account, "wallet": flow.wallet, "asset": flow.asset, "amount": flow.amount}
            opened.execute(sa.text("SELECT recon.ensure_month('transfers', :at)"), {"at": flow.at.date()})
            opened.execute(sa.text(insert), {"venue": VENUE, "at": flow.at, "name": f"d{number}", **told})


def deposit(at: datetime, amount: str) -> Line:
    return Line("api", MAIN, "SPOT", "USDT", Decimal(amount), at, "deposit", "")


def rows_of(*flows: Line, ahead: timedelta = timedelta(0)) -> list[str]:
    """The rows of a statement that tell of these flows."""
    return [f"7,{flow.at + ahead:%Y-%m-%d %H:%M:%S},Spot,Deposit,USDT,{flow.amount}," for flow in flows]


def test_statements_without_a_row_agree_with_nothing(tmp_path: Path) -> None:
    venue = venue_of(tmp_path, main=7)
    (venue.folder / "main.csv").write_text(",".join(HEADER) + "\n")
    with pytest.raises(ConfigError, match="the statements hold no row"):
        compare_statements(venue, "postgresql://nobody@127.0.0.1:1/none")


@pytest.mark.postgres
def test_an_account_of_which_no_statement_tells_is_named_and_not_compared(tmp_path: Path, database: str) -> None:
    venue = venue_of(tmp_path, main=7, desk=8, fund=None)
    row = "7,2026-01-02 10:00:00,Spot,Deposit,USDT,25,"
    (venue.folder / "main.csv").write_text("\n".join([",".join(HEADER), row]) + "\n")
    found = compare_statements(venue, database)
    assert [(line.account, line.side, line.amount) for line in found.alone] == [
        ("main@example.com", "statement", Decimal(25))
    ]
    assert (found.rows, found.untold, found.unnamed) == (1, ["desk@example.com"], ["fund@example.com"])


@pytest.mark.postgres
def test_what_lies_beside_the_statements_is_no_statement(tmp_path: Path, database: str) -> None:
    venue = venue_of(tmp_path, main=7)
    row = "7,2026-01-02 10:00:00,Spot,Deposit,USDT,25,"
    (venue.folder / "main.csv").write_text("\n".join([",".join(HEADER), row]) + "\n")
    (venue.folder / "._main.csv").write_bytes(b"\x00\x05\x16\x07")
    (venue.folder / "unpacked.csv").mkdir()
    (venue.folder / "february.zip").write_bytes(b"PK")
    found = compare_statements(venue, database)
    assert (found.rows, found.unread) == (1, ["february.zip", "unpacked.csv"])


@pytest.mark.postgres
def test_what_the_api_tells_between_two_statements_is_not_held_against_them(tmp_path: Path, database: str) -> None:
    """January and March were downloaded; of what came in on other days only those months' own are missed."""
    venue = venue_of(tmp_path, main=7)
    days = [datetime(2026, month, day, 12, tzinfo=UTC) for month in (1, 2, 3, 4) for day in (5, 15, 25)][:10]
    flows = [deposit(at, f"{number}.5") for number, at in enumerate(days)]
    moment_later = deposit(days[2] + timedelta(seconds=4), "0.1")
    store(database, *flows, moment_later)
    statement(venue.folder, *rows_of(flows[0], flows[2]), name="january.csv")
    statement(venue.folder, *rows_of(flows[6], flows[8]), name="march.csv")
    found = compare_statements(venue, database)
    assert found.spans == {MAIN: [(days[0], days[2]), (days[6], days[8])]}
    assert [(line.side, line.at) for line in found.alone] == [("api", days[1]), ("api", days[7])]
    # from the end of January into April, with March once more, and without one deposit of February
    statement(venue.folder, *rows_of(*flows[2:4], *flows[5:7], *flows[8:]), name="later.csv")
    found = compare_statements(venue, database)
    assert (found.spans, found.rows) == ({MAIN: [(days[0], days[9])]}, 7)
    assert [line.at for line in found.alone] == [days[1], moment_later.at, days[4], days[7]]


@pytest.mark.postgres
def test_a_flow_that_is_near_to_two_statements_is_one(tmp_path: Path, database: str) -> None:
    venue = venue_of(tmp_path, main=7)
    store(database, deposit(NOON + timedelta(seconds=4), "25"))
    for number, seconds in enumerate((0, 8)):
        statement(venue.folder, *rows_of(deposit(NOON + timedelta(seconds=seconds), "25")), name=f"{number}.csv")
    assert [line.side for line in compare_statements(venue, database).alone] == ["statement"]


@pytest.mark.postgres
def test_what_lies_between_the_parts_of_a_download_is_compared(tmp_path: Path, database: str) -> None:
    venue = venue_of(tmp_path, main=7)
    flows = [deposit(NOON + timedelta(days=day), f"{day}.5") for day in range(7)]
    store(database, *flows)
    for part, first in ((1, 0), (2, 2), (4, 5)):
        statement(venue.folder, *rows_of(flows[first]), name=f"history-part{part}-of4.csv")
    found = compare_statements(venue, database)
    assert found.spans == {MAIN: [(flows[0].at, flows[2].at), (flows[5].at, flows[5].at)]}
    assert [line.at for line in found.alone] == [flows[1].at]


def late(*rows: Line, by: timedelta, ahead: timedelta = timedelta(0)) -> Statement:
    """A file whose times are later than it says."""
    lines = [replace(row, at=row.at + by) for row in rows]
    return Statement(Path("history.csv"), ahead, lines)


HOUR = timedelta(hours=1)
AMOUNTS = [f"{number}.5" for number in range(1, 11)]
ROWS = [told(amount, seconds=number * 4000) for number, amount in enumerate(AMOUNTS)]
FLOWS = [flow(amount, seconds=number * 4000 + 2) for number, amount in enumerate(AMOUNTS)]


@pytest.mark.parametrize("hours", [-12, -3.5, 0.25, 3, 5.75, 14])
def test_a_file_of_another_zone_is_known_by_what_would_match(hours: float) -> None:
    by = hours * HOUR
    assert other_zone(late(*ROWS, by=by), FLOWS) == OtherZone("history.csv", 10, 0, 10, timedelta(0), by)
    # the name says UTC+2, and the times are later still, or less late
    ahead = 2 * HOUR
    found = other_zone(late(*ROWS, by=by - ahead, ahead=ahead), FLOWS)
    assert found == OtherZone("history.csv", 10, 0, 10, ahead, by)


@pytest.mark.parametrize("hours", [-12.25, 1 / 3, 14.25, 24])
def test_what_is_no_zone_is_none(hours: float) -> None:
    assert other_zone(late(*ROWS, by=hours * HOUR), FLOWS) is None


def test_six_of_ten_rows_say_which_zone_it_is_and_five_do_not() -> None:
    moved, flows = late(*ROWS, by=HOUR), FLOWS
    assert other_zone(moved, flows[4:]) == OtherZone("history.csv", 10, 0, 6, timedelta(0), HOUR)
    assert other_zone(moved, flows[5:]) is None


def test_four_rows_may_match_by_chance() -> None:
    assert other_zone(late(*ROWS[:4], by=HOUR), FLOWS) is None
    assert other_zone(late(*ROWS[:5], told("0"), by=HOUR), FLOWS) == OtherZone(
        "history.csv", 5, 0, 5, timedelta(0), HOUR
    )


def test_interest_of_each_hour_does_not_hide_the_zone_of_the_rest() -> None:
    interest = [told("0.1", asset="BNB", seconds=hour * 3600) for hour in range(8)]
    paid = [flow("0.1", asset="BNB", seconds=hour * 3600, event=f"i{hour}") for hour in range(-15, 15)]
    found = other_zone(late(*ROWS, *interest, by=3 * HOUR), [*FLOWS, *paid])
    assert found == OtherZone("history.csv", 18, 8, 18, timedelta(0), 3 * HOUR)
    # where it is half of the file, the file is not doubted
    assert other_zone(late(*ROWS[:8], *interest, by=3 * HOUR), [*FLOWS, *paid]) is None


def test_flows_that_no_zone_explains_do_not_hide_it() -> None:
    others = [replace(flow, at=flow.at + HOUR / 3) for flow in FLOWS]
    found = other_zone(late(*ROWS, by=3 * HOUR), [*FLOWS[:7], *others])
    assert found == OtherZone("history.csv", 10, 0, 7, timedelta(0), 3 * HOUR)
    # one flow that each of ten rows may mean, where they stand, and six a zone before
    flows = [flow("1", seconds=3 * 3600, event="e0"), *(flow("1", event=f"e{number}") for number in range(1, 7))]
    found = other_zone(late(*[told("1")] * 10, by=3 * HOUR), flows)
    assert found == OtherZone("history.csv", 10, 1, 6, timedelta(0), 3 * HOUR)


def test_a_withdrawal_with_its_fee_would_match_too() -> None:
    fees = [stored("-8", "w:amt"), stored("-1", "w:fee")]
    found = other_zone(late(*ROWS, told("-9"), by=-HOUR), [*FLOWS, *fees])
    assert found == OtherZone("history.csv", 11, 0, 11, timedelta(0), -HOUR)


def test_each_flow_would_match_one_row_alone() -> None:
    assert other_zone(late(*[ROWS[0]] * 10, by=HOUR), FLOWS) is None


@pytest.mark.parametrize(
    ("hours", "name"),
    [(0, "UTC"), (3, "UTC+3"), (-6, "UTC-6"), (5.5, "UTC+5:30"), (-3.5, "UTC-3:30"), (0.25, "UTC+0:15")],
)
def test_a_zone_has_a_name(hours: float, name: str) -> None:
    assert zone_name(hours * HOUR) == name


@pytest.mark.postgres
@pytest.mark.parametrize(
    ("statuses", "state"),
    [
        (["final", "complete", "not_applicable"], "read"),
        (["final", "failed", "not_applicable"], "read in part"),
        (["complete"], "read in part"),
        (["failed", "partial", "not_applicable"], "not read"),
        ([], "not read"),
    ],
)
def test_a_day_is_read_if_all_feeds_of_it_were(database: str, statuses: list[str], state: str) -> None:
    streams = ["deposits", "withdrawals", "converts"]
    day = NOON.date()
    with closing(RawStore(database, VENUE)) as raw:
        for stream, status in zip(streams, statuses, strict=False):
            raw.mark(MAIN, stream, {day: DayRead(status)}, NOON)
    assert _days_read(database, VENUE, streams, {(MAIN, None, day)}) == {(MAIN, None, day): state}


@pytest.mark.postgres
def test_a_day_of_a_wallet_is_not_read_if_its_own_ledger_was_not_asked(database: str) -> None:
    """Of isolated margin no pair was known, and nobody thought that the account had options."""
    statuses = {
        "deposits": "final", "margin_capital_flow": "final", "isolated_capital_flow": "not_applicable",
        "option_bills": "not_applicable",
    }  # fmt: skip
    day = NOON.date()
    with closing(RawStore(database, VENUE)) as raw:
        for stream, status in statuses.items():
            raw.mark(MAIN, stream, {day: DayRead(status)}, NOON)
    wallets = ("SPOT", "MARGIN", "ISOLATED_MARGIN", "OPTION")
    read = _days_read(database, VENUE, list(statuses), {(MAIN, wallet, day) for wallet in wallets})
    assert [read[MAIN, wallet, day] for wallet in wallets] == ["read", "read", "not read", "not read"]


@pytest.mark.postgres
def test_the_command_says_which_zone_a_file_seems_to_be_of_and_moves_no_row(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The column says UTC, and every deposit stands there three hours late; twice, for the file was copied."""
    venue = venue_of(tmp_path, main=7)
    for name, value in (("HOME", tmp_path), ("CONFIG", tmp_path / "recon.yaml"), ("DATABASE_URL", database)):
        monkeypatch.setenv(f"RECON_{name}", str(value))
    flows = [deposit(NOON + timedelta(hours=hour), f"{hour}.5") for hour in range(12)]
    store(database, *flows)
    for name in ("copy.csv", "local.csv"):
        statement(venue.folder, *rows_of(*flows[:6], ahead=3 * HOUR), name=name)
    statement(venue.folder, *rows_of(*flows[6:]), name="utc.csv")
    told = CliRunner().invoke(compare, ["--venue", VENUE, "--json"], standalone_mode=False)
    found = json.loads(told.stdout)
    hint = {"hint": "OtherZone", "rows": 6, "matching": 0, "read_as": "UTC", "would_match": 6, "if": "UTC+3"}
    assert found["hints"] == [{**hint, "file": "copy.csv"}, {**hint, "file": "local.csv"}]
    assert {row["day"] for row in found["told_by_one_side"]} == {"not read"}
    sides = [row["told_by"] for row in found["told_by_one_side"]]
    assert (told.return_value, sides.count("statement"), sides.count("api")) == (1, 6, 3)
    told = CliRunner().invoke(compare, ["--venue", VENUE], standalone_mode=False)
    assert told.stderr.startswith(
        "OtherZone: 6 of 6 rows would match if the times were UTC+3; read as UTC, 0 do\n"
        "  where:    copy.csv\n"
        "  next:     set the time zone of Binance's site to UTC, and download it anew; no row was moved\n"
    )


@pytest.mark.postgres
def test_the_command_says_what_it_compared(tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    venue = venue_of(tmp_path, main=7)
    for name, value in (("HOME", tmp_path), ("CONFIG", tmp_path / "recon.yaml"), ("DATABASE_URL", database)):
        monkeypatch.setenv(f"RECON_{name}", str(value))
    flows = [deposit(NOON + timedelta(days=day), f"{day}.5") for day in range(3)]
    store(database, *flows)
    for day in (0, 2):
        statement(venue.folder, *rows_of(flows[day]), name=f"{day}.csv")
    told = CliRunner().invoke(compare, ["--venue", VENUE], standalone_mode=False)
    assert told.return_value == 0
    assert told.stdout == (
        "2 rows of statements, each told by the API too, and no other\n"
        "compared of main@example.com, in UTC: 2026-03-01 12:00:00 to 2026-03-01 12:00:00,"
        " 2026-03-03 12:00:00 to 2026-03-03 12:00:00\n"
    )
    told = CliRunner().invoke(compare, ["--venue", VENUE, "--json"], standalone_mode=False)
    assert json.loads(told.stdout) == {
        "statement_rows": 2,
        "compared": {MAIN: [{"from": f"2026-03-0{day} 12:00:00", "to": f"2026-03-0{day} 12:00:00"} for day in (1, 3)]},
        "told_by_one_side": [],
        "not_compared": [],
        "without_user_id": [],
        "not_read": [],
        "hints": [],
    }
    (venue.folder / "april.zip").write_bytes(b"PK")
    told = CliRunner().invoke(compare, ["--venue", VENUE], standalone_mode=False)
    assert (told.return_value, told.stderr) == (3, "not read, for it is no .csv: april.zip; unpack it first\n")


@pytest.mark.postgres
def test_a_whole_world_without_faults_differs_in_no_row(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its few days have all that is told in one row here and in several there."""
    world = make_world(15, days=8, subs=1, symbols_max=250, burst_max=5)
    first, last = world.days[0], world.days[3]
    through = midnight(last + ONE_DAY)
    named = yaml.safe_load(recon_yaml(world, "http://127.0.0.1"))["venues"][VENUE]["accounts"]
    accounts = {email: {**named[email], "user_id": str(account.uid)} for email, account in world.accounts.items()}
    with binance_home(world, tmp_path, database, monkeypatch, start=first, accounts=accounts) as home:
        home.capture_days(first - ONE_DAY, last)
        home.run(first, last)
        assert home.not_matched() == []
        assert set(home.ask(FEES)) == {
            ("dust", False), ("equity_orders", False), ("fiat_orders", False), ("withdrawals", True),
        }  # fmt: skip
        venue = home.settings.venues[VENUE]
        venue.folder.mkdir(parents=True)
        told = 0
        for name, email in enumerate(world.accounts):
            answer = httpx.get(f"{home.sandbox.url}/sandbox/statement", params={"email": email}, timeout=60)
            rows = answer.text.splitlines()
            rows = [row for row in rows if row.startswith("User_ID") or row.split(",")[1] < f"{through:%Y-%m-%d}"]
            (venue.folder / f"{name}.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
            told += len(rows) - 1
        assert told > 1000
        found = compare_statements(venue, database)
        assert (found.alone, found.rows, found.untold, found.hints) == ([], told, [], [])
        assert [len(of_account) for of_account in found.spans.values()] == [1] * len(world.accounts)
