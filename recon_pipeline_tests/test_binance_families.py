"""Whose sub-account an account is: what main accounts list now, and what they listed before."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import yaml

from recon_pipeline.api_settings import DOUBTS, ApiAccount, ApiSettings
from recon_pipeline.config import load_settings
from recon_pipeline.errors import ConfigError
from recon_pipeline.sandbox.binance import World, make_world
from recon_pipeline.sandbox.binance import gate as gate_module
from recon_pipeline.sandbox.binance.accounts import Account, sub_email
from recon_pipeline.sandbox.binance.api.keys import read_params
from recon_pipeline.sandbox.binance.book import Move, Record
from recon_pipeline.sandbox.binance.gate import Asked
from recon_pipeline.sandbox.binance.gate import Told as Answered
from recon_pipeline.sandbox.binance.home import recon_yaml
from recon_pipeline.sandbox.binance.life import transfers
from recon_pipeline.stores.raw import RawStore, Told
from recon_pipeline.venues.binance.accounts import SUB_ACCOUNTS, SUBS_LISTED, subs_of
from recon_pipeline.venues.binance.endpoints import SUB_ASSETS, SUB_DEPOSITS
from recon_pipeline.venues.binance.reading import OF_CONTEXT, context_of, told_by
from recon_pipeline_tests.binance_home import BinanceHome, binance_home
from recon_pipeline_tests.test_binance_bad_keys import DESK as SUB
from recon_pipeline_tests.test_binance_bad_keys import MAIN, SPOT_ALONE
from recon_pipeline_tests.test_binance_markets import edit_answers
from recon_pipeline_tests.test_binance_open_days import quiet_world

pytestmark = pytest.mark.postgres
OLD, NEW, DESK, VAULT = "zeta@example.com", "alpha@example.com", "desk@example.com", "vault@example.com"
AT = datetime(2026, 3, 1, 12, tzinfo=UTC)


def lists(raw: RawStore, master: str, subs: Sequence[str]) -> None:
    """A main account's list is read."""
    raw.keep(master, SUB_ACCOUNTS, [Told(sub, {}, {"email": sub}, None, None) for sub in subs], {}, AT)
    raw.keep(master, SUBS_LISTED, [Told(SUBS_LISTED, {}, {"subs": list(subs)}, None, None)], {}, AT)


def test_a_sub_account_belongs_to_the_main_account_whose_newest_list_names_it(database: str) -> None:
    api = ApiSettings(
        {email: ApiAccount(email, "x") for email in (OLD, NEW, DESK)},
        None,
        {name: readings[0] for name, readings in DOUBTS["binance"].items()},
        Decimal(1),
    )
    with closing(RawStore(database, "binance")) as raw:

        def families() -> dict[str, tuple[str, ...]]:
            return subs_of(raw.records([SUB_ACCOUNTS, SUBS_LISTED]))

        lists(raw, OLD, [DESK, VAULT])
        assert families() == {OLD: (DESK, VAULT)}
        lists(raw, OLD, [VAULT])
        assert families() == {OLD: (DESK, VAULT)}  # nobody says that it is somebody else's
        lists(raw, NEW, [DESK])
        assert families() == {OLD: (VAULT,), NEW: (DESK,)}
        told = told_by(raw.records(OF_CONTEXT))
        assert context_of(api, told, raw).accounts[DESK].master == NEW
        before = raw.version()
        lists(raw, OLD, [VAULT])
        lists(raw, NEW, [DESK])
        assert raw.version() == before
        lists(raw, NEW, [])
        lists(raw, OLD, [DESK, VAULT])
        assert families() == {OLD: (DESK, VAULT)}


def test_lists_that_were_read_before_the_newest_one_was_kept_count(database: str) -> None:
    with closing(RawStore(database, "binance")) as raw:
        raw.keep(OLD, SUB_ACCOUNTS, [Told(DESK, {}, {"email": DESK}, None, None)], {}, AT)
        assert subs_of(raw.records([SUB_ACCOUNTS, SUBS_LISTED])) == {OLD: (DESK,)}


@pytest.mark.parametrize("has_key", [False, pytest.param(True, marks=pytest.mark.long)], ids=["by main", "own key"])
def test_an_e_mail_that_recon_yaml_writes_in_another_case_is_asked_for_as_the_venue_writes_it(
    *, has_key: bool, tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The venue refuses any other spelling; what it tells stands under the name in recon.yaml."""
    world = make_world(21, days=7, subs=1, symbols_max=250, burst_max=5, without=SPOT_ALONE)
    first, ours = date(2026, 1, 3), SUB.title()
    accounts = yaml.safe_load(recon_yaml(world, ""))["venues"]["binance"]["accounts"]
    of_sub = accounts.pop(SUB)
    accounts[ours] = of_sub if has_key else {}
    with binance_home(world, tmp_path, database, monkeypatch, start=first, accounts=accounts) as home:
        home.capture_days(first - timedelta(days=1), first)
        home.run(first, first)
        log = home.sandbox.site.gate.log
        assert {text for entry in log for text in entry["params"].values() if text.casefold() == SUB} == {SUB}
        statuses = "SELECT DISTINCT account, status FROM recon.reconciliation"
        assert set(home.ask(statuses)) == {(MAIN, "matched"), (ours, "matched" if has_key else "incomplete")}
        holes = "SELECT DISTINCT account, error FROM recon.pulls WHERE status IN ('partial', 'failed')"
        assert home.ask(holes) == ([] if has_key else [(ours, "NoKey")])


def test_a_list_that_writes_e_mails_in_another_case_names_the_same_accounts(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_world(21, days=7, subs=1, symbols_max=250, burst_max=5, without=SPOT_ALONE)
    first = date(2026, 1, 3)
    is_loud = True

    def loudly(body: Any, _: Asked) -> Any:
        return {**body, "subAccounts": [{**row, "email": row["email"].upper()} for row in body["subAccounts"]]}

    with binance_home(world, tmp_path, database, monkeypatch, start=first) as home:
        edit_answers(home, monkeypatch, "/sapi/v1/sub-account/list", lambda *told: loudly(*told) if is_loud else None)
        home.capture_days(first - timedelta(days=1), first - timedelta(days=1))
        is_loud = False
        home.capture_days(first, first)
        of_pulls = home.ask("SELECT DISTINCT account FROM recon.pulls WHERE account <> ''")
        assert {account for (account,) in of_pulls} == {MAIN, SUB}
        assert home.ask("SELECT name FROM recon.errors WHERE name IN ('SubAccountsNotListed', 'WrongIdentity')") == []
        settings = home.settings
        config = settings.path.read_text(encoding="utf-8").replace(SUB, SUB.title())
        settings.path.write_text(config, encoding="utf-8")
        home.settings = replace(load_settings(settings.path), home=settings.home, database_url=settings.database_url)
        with pytest.raises(ConfigError, match=f"was read as {re.escape(SUB)} before"):
            home.run(first, first)


FIRST, LAST = date(2026, 1, 3), date(2026, 1, 5)
STATUSES = (
    "SELECT DISTINCT status FROM recon.reconciliation WHERE account = :account AND date = :day AND wallet LIKE :wallet"
)
READ = "SELECT status, error FROM recon.pulls WHERE account = :account AND stream = :stream AND date = :day"
TRANSFERS = {"universal_transfers": transfers.UNIVERSAL, "sub_transfers": transfers.SPOT_ONLY}


def delete(home: BinanceHome, sub: str, environment: pytest.MonkeyPatch) -> Account:
    """The venue lists a sub-account no more, and refuses its key and its e-mail."""
    site = home.sandbox.site
    account = site.world.accounts[sub]
    site.gate.doorman.revoked_us |= {key.key: home.sandbox.now_us() for key in account.keys.values()}
    environment.delitem(site.world.accounts, sub)
    return account


def pay_to_main(world: World, sub: str, at: datetime) -> None:
    """A sub-account hands over one USDT; its main account's list tells it."""
    at_us, number = int(at.timestamp() * 1_000_000), 77_001
    for email, amount in ((sub, -1), (MAIN, 1)):
        world.ledger.post(Move(at_us, email, "SPOT", "USDT", Decimal(amount), "balance", str(number)))
    record = Record(at_us // 1000, number)
    content = {
        "tranId": number, "fromEmail": sub, "toEmail": MAIN, "asset": "USDT", "amount": "1", "status": "SUCCESS",
        "createTimeStamp": at_us // 1000, "fromAccountType": "SPOT", "toAccountType": "SPOT", "clientTranId": "",
    }  # fmt: skip
    record.change(at_us, content)
    world.archive.add(MAIN, transfers.UNIVERSAL, record)


def statuses(home: BinanceHome, account: str, day: date, wallet: str = "%") -> set[str]:
    return {status for (status,) in home.ask(STATUSES, account=account, day=day, wallet=wallet)}


@pytest.mark.parametrize("has_key", [True, pytest.param(False, marks=pytest.mark.long)], ids=["own key", "by main"])
def test_a_sub_account_that_is_deleted_costs_its_own_days_alone(
    *, has_key: bool, tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What moved between it and the others on its last day is told of these, or their balances do not add up."""
    world = quiet_world(subs=2)
    pay_to_main(world, SUB, datetime(2026, 1, 5, 12, tzinfo=UTC))

    def without_it(body: Any, _: Asked) -> Any:
        rows = [row for row in (body if isinstance(body, list) else body["result"]) if SUB not in row.values()]
        return rows if isinstance(body, list) else {"result": rows, "totalCount": len(rows)}

    accounts = yaml.safe_load(recon_yaml(world, ""))["venues"]["binance"]["accounts"]
    accounts |= {} if has_key else {SUB: {}}
    with binance_home(world, tmp_path, database, monkeypatch, start=FIRST, accounts=accounts) as home:
        home.capture_days(FIRST - timedelta(days=1), FIRST)
        home.run(FIRST, FIRST)
        home.capture_days(LAST, LAST)
        delete(home, SUB, monkeypatch)
        home.capture_days(LAST + timedelta(days=1), LAST + timedelta(days=1))
        captured = home.problems
        home.run(LAST, LAST)
        names = {type(problem).__name__ for problem in (*captured, *home.problems)}
        assert names == ({"ApiKeyInvalid"} if has_key else set())
        for stream in (*TRANSFERS, *(() if has_key else ("sub_deposits",))):
            assert home.ask(READ, account=SUB, stream=stream, day=FIRST) == [("complete", None)]
            assert home.ask(READ, account=SUB, stream=stream, day=LAST) == [("failed", "SubAccountGone")]
        for account in (MAIN, sub_email(2)):
            assert statuses(home, account, FIRST) == statuses(home, account, LAST) == {"matched"}
        assert statuses(home, SUB, FIRST) == ({"matched"} if has_key else {"incomplete"})
        assert statuses(home, SUB, LAST) == {"incomplete"}
        for path in TRANSFERS.values():
            edit_answers(home, monkeypatch, path, without_it)
        home.run(LAST, LAST)
        untold = "SELECT account, asset, variance_in_asset FROM recon.reconciliation WHERE status = 'variance'"
        assert home.ask(untold) == [(MAIN, "USDT", 1)]
        assert home.ask("SELECT account, seen FROM recon.errors WHERE name = 'SubAccountGone'") == [(SUB, 1)]


@pytest.mark.long
def test_a_deleted_sub_account_that_leaves_recon_yaml_is_asked_for_no_more_and_may_come_back(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, sub = quiet_world(subs=2), sub_email(2)
    with binance_home(world, tmp_path, database, monkeypatch, start=FIRST) as home:
        home.capture_days(FIRST - timedelta(days=1), FIRST)
        home.run(FIRST, FIRST)
        settings, config = home.settings, home.settings.path.read_text(encoding="utf-8")
        deleted = delete(home, sub, monkeypatch)
        left = yaml.safe_load(config)
        del left["venues"]["binance"]["accounts"][sub]
        settings.path.write_text(yaml.safe_dump(left), encoding="utf-8")
        home.settings = replace(load_settings(settings.path), home=settings.home, database_url=settings.database_url)
        begun = len(home.sandbox.site.gate.log)
        home.capture_days(LAST, LAST)
        home.run(LAST, LAST, when=datetime(2026, 1, 25, 2, tzinfo=UTC))
        assert (home.problems, statuses(home, MAIN, LAST), statuses(home, SUB, LAST)) == ([], {"matched"}, {"matched"})
        asked = {entry["path"] for entry in home.sandbox.site.gate.log[begun:] if sub in entry["params"].values()}
        assert asked.isdisjoint({SUB_DEPOSITS.path, SUB_ASSETS.path})
        assert home.ask(READ, account=MAIN, stream="universal_transfers", day=LAST) == [("final", None)]
        assert home.ask(READ, account=sub, stream="universal_transfers", day=LAST) == [("failed", "SubAccountGone")]
        monkeypatch.setitem(world.accounts, sub, deleted)
        home.sandbox.site.gate.doorman.revoked_us.clear()
        settings.path.write_text(config, encoding="utf-8")
        home.settings = settings
        home.run(LAST, LAST)
        assert home.ask(READ, account=sub, stream="universal_transfers", day=LAST) == [("final", None)]
        assert statuses(home, sub, LAST, "SPOT") == {"matched"}


def configure(home: BinanceHome, accounts: Mapping[str, Any]) -> None:
    """Other accounts stand in recon.yaml from now on."""
    settings = home.settings
    config = yaml.safe_load(settings.path.read_text(encoding="utf-8"))
    config["venues"]["binance"]["accounts"] = dict(accounts)
    settings.path.write_text(yaml.safe_dump(config), encoding="utf-8")
    home.settings = replace(load_settings(settings.path), home=settings.home, database_url=settings.database_url)


@pytest.mark.long
def test_an_account_keeps_its_name_when_its_e_mail_at_the_venue_changes(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The venue refuses the former one and tells everything under the new one; recon.yaml gives that under emails."""
    world, new = quiet_world(subs=1), "chief@example.com"
    pay_to_main(world, SUB, datetime(2026, 1, 5, 12, tzinfo=UTC))
    with binance_home(world, tmp_path, database, monkeypatch, start=FIRST) as home:
        gate, is_new = home.sandbox.site.gate, False
        truly = gate.tell

        def renamed(asked: Asked, now_us: int) -> Answered:
            if not is_new:
                return truly(asked, now_us)
            answer = truly(asked, now_us)
            if quote(MAIN).encode() in asked.query:
                return replace(answer, status=400, body=b'{"code":-4003,"msg":"Email address should be encoded."}')
            return replace(answer, body=answer.body.replace(MAIN.encode(), new.encode()))

        monkeypatch.setattr(
            gate_module,
            "read_params",
            lambda *sent: {name: text if text != new else MAIN for name, text in read_params(*sent).items()},
        )
        monkeypatch.setattr(gate, "tell", renamed)
        home.capture_days(FIRST - timedelta(days=1), FIRST)
        home.run(FIRST, FIRST)
        is_new = True
        home.capture_days(LAST - timedelta(days=1), LAST + timedelta(days=1))
        home.run(FIRST + timedelta(days=1), LAST)
        assert statuses(home, MAIN, LAST, "SPOT") == {"incomplete"}
        told = home.ask("SELECT next_step FROM recon.errors WHERE name = 'NotMainAccount'")
        assert any("emails" in next_step for (next_step,) in told)
        written = yaml.safe_load(home.sandbox.recon_yaml)["venues"]["binance"]["accounts"]
        configure(home, {**{new if name == MAIN else name: of for name, of in written.items()}})
        home.run(LAST, LAST)
        ((next_step,),) = home.ask("SELECT next_step FROM recon.errors WHERE name = 'WrongIdentity'")
        assert f"give {new} under emails" in next_step
        configure(home, {**written, MAIN: {**written[MAIN], "emails": [new]}})
        home.run(FIRST, LAST)
        assert home.problems == []
        assert {account for (account,) in home.ask("SELECT DISTINCT account FROM recon.reconciliation")} == {MAIN, SUB}
        assert home.not_matched() == []
        parties = "SELECT account, counter_party FROM recon.transfers WHERE txn_hash = '77001' AND retired_at IS NULL"
        assert set(home.ask(parties)) == {(SUB, f"{MAIN}/SPOT"), (MAIN, f"{SUB}/SPOT")}


@pytest.mark.long
def test_a_sub_account_whose_main_account_leaves_recon_yaml_goes_on_by_itself(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And nothing is expected any more of those that the main account alone had named."""
    world = quiet_world(subs=2)
    pay_to_main(world, SUB, datetime(2026, 1, 4, 12, tzinfo=UTC))
    with binance_home(world, tmp_path, database, monkeypatch, start=FIRST) as home:
        written = yaml.safe_load(home.sandbox.recon_yaml)["venues"]["binance"]["accounts"]
        configure(home, {name: of for name, of in written.items() if name != sub_email(2)})
        home.capture_days(FIRST - timedelta(days=1), FIRST)
        home.run(FIRST, FIRST)
        configure(home, {SUB: written[SUB]})
        for on in (FIRST + timedelta(days=1), LAST):
            home.capture_days(on, on)
            home.run(on, on)
        assert home.problems == []
        for on in (FIRST, FIRST + timedelta(days=1), LAST):
            assert statuses(home, SUB, on) == {"matched"}
        assert home.ask("SELECT max(date) FROM recon.pulls WHERE account = :other", other=sub_email(2)) == [
            (FIRST + timedelta(days=1),)
        ]
        verdicts = "SELECT DISTINCT verdict FROM marts.account_day_verdict WHERE account = :account"
        assert home.ask(verdicts, account=SUB) == [("green",)]


def test_a_sub_account_is_no_other_e_mail_of_its_main_account(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = quiet_world(subs=1)
    accounts = yaml.safe_load(recon_yaml(world, ""))["venues"]["binance"]["accounts"]
    accounts = {MAIN: {**accounts[MAIN], "emails": [SUB]}}
    with binance_home(world, tmp_path, database, monkeypatch, start=FIRST, accounts=accounts) as home:
        home.advance(datetime(2026, 1, 5, 2, tzinfo=UTC))
        with pytest.raises(ConfigError, match=f"{SUB} is a sub-account of {MAIN}"):
            home.run(FIRST, FIRST)
        assert home.ask("SELECT count(*) FROM recon.raw_records WHERE account <> ''") == [(0,)]
