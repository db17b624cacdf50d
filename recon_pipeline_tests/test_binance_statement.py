"""The statement that a user downloads, row by row against what the API told."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from recon_pipeline.venues.binance.statement import HEADER, Line, NotAStatement, read_statement, unmatched

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
MAIN = "main@example.com"


def flow(amount: str, *, asset: str = "USDT", wallet: str = "SPOT", seconds: float = 0, event: str = "e1") -> Line:
    at = NOON + timedelta(seconds=seconds)
    return Line("api", MAIN, wallet, asset, Decimal(amount), at, "flow", f"{event} {asset} {amount} {seconds}", event)


def told(amount: str, *, asset: str = "USDT", wallet: str | None = "SPOT", seconds: float = 0) -> Line:
    at = NOON + timedelta(seconds=seconds)
    return Line("statement", MAIN, wallet, asset, Decimal(amount), at, "Deposit", f"line {amount} {seconds}")


def statement(folder: Path, *rows: str, header: str = ",".join(HEADER)) -> Path:
    path = folder / "statement.csv"
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


def test_two_rows_of_one_amount_need_two_flows() -> None:
    assert unmatched([told("1"), told("1", seconds=1)], [flow("1")]) == [told("1", seconds=1)]


def test_another_wallet_or_another_minute_is_another_event() -> None:
    assert len(unmatched([told("1")], [flow("1", wallet="FUNDING")])) == 2
    assert len(unmatched([told("1")], [flow("1", seconds=6)])) == 2


def test_an_account_of_the_statement_without_a_wallet_here_may_be_any() -> None:
    assert unmatched([told("1", wallet=None)], [flow("1", wallet="FUNDING")]) == []


def test_a_downloaded_file_is_read_exactly(tmp_path: Path) -> None:
    path = statement(tmp_path, '7,2026-03-01 12:00:00,Spot,Deposit,SHIB,"123456789.00000001",')
    (line,) = read_statement(path, {"7": MAIN})
    assert (line.account, line.wallet, line.asset, line.amount) == (MAIN, "SPOT", "SHIB", Decimal("123456789.00000001"))


@pytest.mark.parametrize(
    ("row", "found"),
    [
        ("8,2026-03-01 12:00:00,Spot,Deposit,BTC,1,", "a User_ID that no account has"),
        ("7,yesterday,Spot,Deposit,BTC,1,", "UTC_Time is no instant"),
        ("7,2026-03-01 12:00:00,Spot,Deposit,BTC,1.0000000000000000001,", "Coin or Change cannot be read"),
        ("7,2026-03-01 12:00:00,Spot,Deposit,,1,", "Coin or Change cannot be read"),
    ],
)
def test_a_row_that_cannot_be_read_is_named(tmp_path: Path, row: str, found: str) -> None:
    with pytest.raises(NotAStatement, match=found) as refused:
        read_statement(statement(tmp_path, row), {"7": MAIN})
    assert "statement.csv, line 2" in str(refused.value)


def test_another_file_is_no_statement(tmp_path: Path) -> None:
    with pytest.raises(NotAStatement, match="its columns are a, b"):
        read_statement(statement(tmp_path, header="a,b"), {})
