"""Money that others manage, in whole runs: an investor's fund, a desk that trades for somebody, a prediction wallet."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
import yaml

from recon_pipeline.sandbox.binance import make_world
from recon_pipeline.sandbox.binance.accounts import FUND, MAIN, sub_email
from recon_pipeline.sandbox.binance.home import recon_yaml
from recon_pipeline.sandbox.binance.world import BUSINESS
from recon_pipeline_tests.binance_home import binance_home

pytestmark = pytest.mark.postgres
FIRST, LAST = date(2026, 1, 3), date(2026, 1, 5)
DESK = sub_email(1)
WALLETS = ("SPOT", "MARGIN", "FUTURES")


def test_money_that_others_manage_is_explained_and_a_fund_without_a_key_is_read_and_not_vouched_for(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world(
        4, days=8, subs=1, symbols_max=60, burst_max=12, without=set(BUSINESS) - {"managed", "prediction"}
    )
    written = yaml.safe_load(recon_yaml(world, "http://127.0.0.1:1"))["venues"]["binance"]["accounts"]
    accounts = {**written, FUND: {}}
    with binance_home(world, tmp_path, database, monkeypatch, start=FIRST, accounts=accounts) as home:
        home.capture_days(date(2026, 1, 2), LAST)
        home.run(FIRST, LAST)
        assert [row for row in home.not_matched() if row[1] != FUND] == []
        legs = home.ask(
            "SELECT account, sum(amount) FROM recon.transfers WHERE source = 'sub_account_transfers' AND asset = 'LTC'"
            " AND datetime >= :first AND datetime < :after GROUP BY 1",
            first=FIRST,
            after=date(2026, 1, 6),
        )
        moved = {account: Decimal(amount) for account, amount in legs}
        assert moved.keys() == {MAIN, DESK, FUND}
        assert moved[FUND] == -moved[MAIN] != 0
        (predicted,) = home.ask("SELECT count(*) FROM recon.transfers WHERE source = 'prediction_transfers'")
        assert predicted[0] > 0
        of_fund = home.ask(
            "SELECT DISTINCT wallet, asset, status, calculated_balance = actual_balance FROM recon.reconciliation"
            " WHERE account = :fund AND date > :first",
            fund=FUND,
            first=FIRST,
        )
        assert {wallet for wallet, *_ in of_fund} == set(WALLETS)
        assert {status for _, _, status, _ in of_fund} == {"incomplete"}
        assert all(is_explained for *_, is_explained in of_fund)
