"""Own transfers of Binance: told by many streams, booked once, and never by two for one wallet."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from recon_pipeline.venues.binance.mapping import MappingContext, quarantine_row
from recon_pipeline.venues.binance.reading import doubted_rows
from recon_pipeline.venues.binance.streams import BY_NAME
from recon_pipeline.venues.streams import AccountFacts, RawRecord
from recon_pipeline_tests.binance_records import CONTEXT, DESK, FACTS, MAIN, SYMBOLS, kinds, mapped, ms, record, told
from recon_pipeline_tests.binance_samples import SAMPLES, sample

T = ms("2026-11-02T08:00:00.250")


def wallet_transfer(kind: str, **changes: Any) -> RawRecord:
    content = {"asset": "USDT", "amount": "40", "type": kind, "status": "CONFIRMED", "tranId": 77, "timestamp": T}
    return record("wallet_transfers", content | changes, {"type": kind})


def universal(**changes: Any) -> RawRecord:
    content = {
        "tranId": 99,
        "fromEmail": MAIN,
        "toEmail": DESK,
        "asset": "BNB",
        "amount": "0.5",
        "createTimeStamp": T,
        "fromAccountType": "SPOT",
        "toAccountType": "SPOT",
        "status": "SUCCESS",
        "clientTranId": "",
    } | changes
    return record("universal_transfers", content, {"fromEmail": str(content["fromEmail"])})


def sub_user(**changes: Any) -> RawRecord:
    content = {
        "counterParty": "master",
        "email": "MAIN@example.com",
        "type": 1,
        "asset": "BNB",
        "qty": "0.50",
        "fromAccountType": "SPOT",
        "toAccountType": "SPOT",
        "status": "SUCCESS",
        "tranId": 99,
        "time": T + 400,
    } | changes
    return record("sub_user_transfers", content, {"type": "1"}, DESK)


def sub(**changes: Any) -> RawRecord:
    content = {"from": MAIN, "to": DESK, "asset": "BNB", "qty": "0.5", "status": "SUCCESS", "tranId": 99, "time": T}
    return record("sub_transfers", content | changes, {"fromEmail": MAIN})


FUND, INVESTOR = "fund-1_virtual@managed.example.com", "investor@elsewhere.example"


def managed(stream: str, sender: str, receiver: str, **changes: Any) -> RawRecord:
    content = {
        "fromEmail": sender,
        "fromAccountType": "SPOT",
        "toEmail": receiver,
        "toAccountType": "SPOT",
        "asset": "BNB",
        "amount": "0.5",
        "scheduledData": T,
        "createTime": T,
        "status": "SUCCESS",
        "tranId": 99,
    } | changes
    call = {} if stream == "managed_own_transfers" else {"email": FUND if FUND in (sender, receiver) else DESK}
    return record(stream, content, call, DESK if stream == "managed_own_transfers" else MAIN)


LEGS = ("account", "wallet", "external_id", "amount", "counter_party", "txn_hash")
BOTH = [
    (DESK, "SPOT", "99:in", "0.5", f"{MAIN}/SPOT", "99"),
    (MAIN, "SPOT", "99:out", "-0.5", f"{DESK}/SPOT", "99"),
]


def test_a_move_between_wallets_of_one_account_is_two_legs_with_one_name() -> None:
    found = mapped(wallet_transfer("MAIN_FUNDING"))
    assert told(found.transfers, *LEGS) == [
        (MAIN, "FUNDING", "77:in", "40", "SPOT", "77"),
        (MAIN, "SPOT", "77:out", "-40", "FUNDING", "77"),
    ]
    assert told(found.transfers, "txn_subtype") == ["internal_in", "internal_out"]


@pytest.mark.parametrize(
    ("kind", "other"),
    [
        ("MAIN_UMFUTURE", "FUTURES"),
        ("MAIN_CMFUTURE", "FUTURES_COIN"),
        ("MAIN_MARGIN", "MARGIN"),
        ("MAIN_OPTION", "OPTION"),
    ],
)
def test_a_wallet_with_a_ledger_of_its_own_books_its_leg_itself(kind: str, other: str) -> None:
    found = mapped(wallet_transfer(kind))
    assert told(found.transfers, "wallet", "amount", "counter_party") == [("SPOT", "-40", other)]


def test_a_wallet_that_is_not_read_is_only_the_other_side() -> None:
    found = mapped(wallet_transfer("MINING_MAIN"), universal(toAccountType="ALPHA", tranId=100))
    assert told(found.transfers, *LEGS) == [
        (MAIN, "SPOT", "100:out", "-0.5", f"{DESK}/ALPHA", "100"),
        (MAIN, "SPOT", "77:in", "40", "MINING", "77"),
    ]
    without_funding = MappingContext(FACTS, SYMBOLS, captured={MAIN: frozenset({"SPOT"})})
    found = mapped(wallet_transfer("MAIN_FUNDING"), context=without_funding)
    assert told(found.transfers, "wallet", "counter_party") == [("SPOT", "FUNDING")]


@pytest.mark.parametrize("status", ["PENDING", "FAILED"])
def test_a_transfer_that_is_not_done_moves_nothing(status: str) -> None:
    assert mapped(wallet_transfer("MAIN_FUNDING", status=status)).transfers == []


def test_a_transfer_is_booked_once_however_many_streams_tell_of_it() -> None:
    for records in ([universal()], [universal(), sub_user()], [sub_user(), sub(), universal()]):
        found = mapped(*records)
        assert told(found.transfers, *LEGS) == BOTH
        assert found.problems == []
        assert {row["source"] for row in found.transfers} == {"sub_account_transfers"}


def test_the_first_stream_that_has_it_gives_the_fields_and_the_key_stays() -> None:
    alone, with_master = mapped(sub_user()), mapped(sub_user(), universal())
    assert told(alone.transfers, "account", "external_id", "txn_hash") == told(
        with_master.transfers, "account", "external_id", "txn_hash"
    )
    assert told(alone.transfers, "amount") == ["-0.50", "0.50"]
    assert told(with_master.transfers, "amount") == ["-0.5", "0.5"]


def test_both_directions_of_one_question_are_one_transfer() -> None:
    content = dict(universal().content)
    again = record("universal_transfers", content, {"toEmail": DESK})
    assert told(mapped(universal(), again).transfers, *LEGS) == BOTH


@pytest.mark.parametrize(
    ("changes", "what"),
    [({"qty": "0.6"}, "amount"), ({"asset": "BTC"}, "asset"), ({"to": MAIN, "from": DESK}, "sender")],
)
def test_another_asset_amount_or_account_is_a_conflict(changes: dict[str, Any], what: str) -> None:
    found = mapped(universal(), sub(**changes))
    assert told(found.transfers, *LEGS) == BOTH
    assert {(p.kind, p.wallet, what in p.text) for p in found.problems} == {("conflict", "SPOT", True)}
    assert {p.account for p in found.problems} == {MAIN, DESK}
    assert {row["error"] for row in map(quarantine_row, found.problems)} == {"RecordConflicting"}
    assert all(p.instant is not None for p in found.problems)


MASKED = DESK[:2] + "***@example.com"


@pytest.mark.parametrize(
    "records",
    [
        [universal(toEmail=MASKED)],
        [universal(toEmail="***"), sub_user()],
        [universal(), sub(to="***")],
        [sub_user(counterParty=None, email="m***@example.com")],
        [record("universal_transfers", dict(universal(fromEmail="***").content), {"fromEmail": MAIN}), sub_user()],
    ],
    ids=["one fits", "the other record names it", "the first names it", "the master fits", "who was asked for"],
)
def test_a_masked_account_is_no_other_account(records: list[RawRecord]) -> None:
    found = mapped(*records)
    assert told(found.transfers, "account", "external_id") == [(DESK, "99:in"), (MAIN, "99:out")]
    assert found.problems == []


def test_a_masked_account_that_nothing_names_is_told_and_the_other_leg_counts() -> None:
    found = mapped(sub_user(counterParty="sub", email="de***@example.com"))
    assert told(found.transfers, "account", "amount", "counter_party") == [(DESK, "0.50", "SPOT")]
    assert kinds(found) == ["unknown_value"]


@pytest.mark.parametrize("counter_party", ["sub", "subAccount"])
def test_a_masked_account_of_which_it_is_told_that_it_is_a_sub_account_is_not_the_main_one(counter_party: str) -> None:
    other = "mate@example.com"
    facts = {**FACTS, other: AccountFacts(other, master=MAIN)}
    found = mapped(
        sub_user(counterParty=counter_party, email="ma***@example.com"), context=MappingContext(facts, SYMBOLS)
    )
    assert told(found.transfers, "account", "amount") == [(DESK, "0.50"), (other, "-0.50")]
    assert found.problems == []


def test_another_instant_is_none() -> None:
    assert mapped(universal(), sub(time=T + 9_000)).problems == []


def test_where_the_older_list_has_numbers_of_its_own_a_move_is_known_by_what_it_says() -> None:
    old = sub(tranId=7)
    for records in ([universal(), old], [sub_user(time=T), old], [universal(), sub_user(), old]):
        assert len(mapped(*records).transfers) == 4, "of two numbers, two moves"
        found = mapped(*records, sub_transfer_ids="own")
        assert found.transfers == mapped(*records[:-1]).transfers
        assert found.problems == []
    assert len(mapped(universal(), sub(time=T + 1), sub_transfer_ids="own").transfers) == 4, (
        "another instant, another move"
    )


def test_of_moves_that_are_equal_in_everything_each_counts() -> None:
    told_by_both = [universal(), universal(tranId=100), sub(tranId=7), sub(tranId=8)]
    assert len(mapped(*told_by_both, sub_transfer_ids="own").transfers) == 4
    assert len(mapped(*told_by_both, sub(tranId=9), sub_transfer_ids="own").transfers) == 6


def test_a_number_of_the_older_list_is_none_of_the_others() -> None:
    found = mapped(universal(), sub(qty="3"), sub_transfer_ids="own")
    assert found.problems == []
    assert told(found.transfers, "external_id") == ["99:in", "99:out", "spot:99:in", "spot:99:out"]
    assert len({row["txn_hash"] for row in found.transfers}) == 2


def test_what_a_sub_account_sent_goes_the_other_way() -> None:
    found = mapped(sub_user(type=2))
    assert told(found.transfers, "account", "amount") == [(DESK, "-0.50"), (MAIN, "0.50")]


def test_a_move_within_a_sub_account_that_the_master_made_is_one_with_its_own_record() -> None:
    within = universal(fromEmail=DESK, toEmail=DESK, tranId=77, asset="USDT", amount="40", toAccountType="USDT_FUTURE")
    own = record("wallet_transfers", dict(wallet_transfer("MAIN_UMFUTURE").content), {"type": "MAIN_UMFUTURE"}, DESK)
    found = mapped(within, own)
    assert told(found.transfers, "account", "source", "external_id", "wallet", "counter_party") == [
        (DESK, "wallet_transfers", "77:out", "SPOT", "FUTURES")
    ]
    assert found.problems == []


def test_moves_of_one_number_within_two_accounts_are_two() -> None:
    mine = wallet_transfer("MAIN_FUNDING")
    found = mapped(mine, record("wallet_transfers", mine.content, mine.call, DESK))
    assert told(found.transfers, "account", "wallet", "external_id") == [
        (account, wallet, leg) for account in (DESK, MAIN) for wallet, leg in (("FUNDING", "77:in"), ("SPOT", "77:out"))
    ]


def test_an_account_that_is_not_ours_has_no_leg() -> None:
    found = mapped(universal(toEmail="gone@example.com"))
    assert told(found.transfers, "account", "counter_party") == [(MAIN, "gone@example.com/SPOT")]


def test_what_an_investor_lends_a_desk_is_told_to_it_and_to_its_main_account_and_booked_once() -> None:
    tellings = [managed(stream, INVESTOR, DESK) for stream in ("managed_trader_transfers", "managed_own_transfers")]
    found = mapped(*tellings)
    assert told(found.transfers, *LEGS) == [(DESK, "SPOT", "99:in", "0.5", f"{INVESTOR}/SPOT", "99")]
    assert found.problems == []


def test_money_put_into_a_fund_has_two_legs_if_the_fund_is_an_account_of_ours_else_one() -> None:
    put_in = managed("managed_transfers", MAIN, FUND)
    out = (MAIN, "SPOT", "99:out", "-0.5", f"{FUND}/SPOT", "99")
    assert told(mapped(put_in).transfers, *LEGS) == [out]
    ours = MappingContext({**FACTS, FUND: AccountFacts(FUND, products=frozenset({"spot"}))}, SYMBOLS)
    into = (FUND, "SPOT", "99:in", "0.5", f"{MAIN}/SPOT", "99")
    assert told(mapped(put_in, context=ours).transfers, *LEGS) == [into, out]


def test_a_type_that_is_not_known_moves_the_leg_that_it_names() -> None:
    found = mapped(wallet_transfer("MAIN_LUNARBASE"), wallet_transfer("LUNARBASE_MAIN", tranId=78))
    assert told(found.transfers, "wallet", "amount", "txn_subtype", "counter_party") == [
        ("SPOT", "-40", "unknown", "LUNARBASE"),
        ("SPOT", "40", "unknown", "LUNARBASE"),
    ]
    assert kinds(found) == ["unknown_value", "unknown_value"]
    nowhere = mapped(wallet_transfer("MARS_VENUS"))
    assert (nowhere.transfers, kinds(nowhere)) == ([], ["unknown_value", "unknown_value"])


def test_a_status_that_is_not_known_moves_the_balance_and_is_reported() -> None:
    found = mapped(universal(status="ODD"))
    assert told(found.transfers, "txn_subtype") == ["unknown", "unknown"]
    assert kinds(found) == ["unknown_value"]


def margin_transfer(**changes: Any) -> RawRecord:
    content = {
        "amount": "0.1",
        "asset": "BNB",
        "status": "CONFIRMED",
        "timestamp": T // 1_000,
        "txId": 52,
        "type": "ROLL_IN",
        "transFrom": "SPOT",
        "transTo": "ISOLATED_MARGIN",
        "fromSymbol": "",
        "toSymbol": "BNBUSDT",
    }
    return record("margin_transfers", content | changes)


@pytest.mark.parametrize("name", ["ISOLATED_MARGIN", "ISOLATEDMARGIN", "isolated_margin"])
def test_spot_and_isolated_margin_are_told_by_the_margin_transfers_alone(name: str) -> None:
    found = mapped(margin_transfer(transTo=name), margin_transfer(txId=53, transTo="CROSS_MARGIN"))
    assert told(found.transfers, "source", "external_id", "wallet", "amount", "counter_party") == [
        ("margin_transfers", "52:out", "SPOT", "-0.1", "ISOLATED_MARGIN:BNBUSDT")
    ]
    assert found.problems == []


def test_a_margin_transfer_is_no_wallet_transfer_of_the_same_number() -> None:
    found = mapped(wallet_transfer("MAIN_FUNDING"), margin_transfer(txId=77, asset="USDT", amount="40"))
    assert told(found.transfers, "source", "external_id", "wallet", "amount") == [
        ("margin_transfers", "77:out", "SPOT", "-40"),
        ("wallet_transfers", "77:in", "FUNDING", "40"),
        ("wallet_transfers", "77:out", "SPOT", "-40"),
    ]
    assert found.problems == []


def test_a_margin_transfer_whose_end_is_not_known_is_not_dropped() -> None:
    found = mapped(margin_transfer(transTo="LUNARBASE"))
    assert told(found.transfers, "wallet", "amount", "txn_subtype") == [("SPOT", "-0.1", "unknown")]
    assert kinds(found) == ["unknown_value"]
    told_elsewhere = mapped(margin_transfer(transFrom="LUNARBASE", transTo="CROSS_MARGIN"))
    assert (told_elsewhere.transfers, told_elsewhere.problems) == ([], [])
    missing = mapped(margin_transfer(transTo=None))
    assert (missing.transfers, kinds(missing)) == ([], ["malformed"])


@pytest.mark.parametrize("number", [99, 4711], ids=["its number", "another number"])
@pytest.mark.parametrize(("sender", "is_out"), [(DESK, True), (DESK, False), (MAIN, True)])
def test_what_a_main_account_moves_to_isolated_margin_is_booked_once(sender: str, number: int, *, is_out: bool) -> None:
    """Both the main account's history and the list of the margin wallet tell of it, which may say SPOT of an end that
    lies in the main account; its instants are whole seconds."""
    ends = ("SPOT", "ISOLATED_MARGIN") if is_out else ("ISOLATED_MARGIN", "SPOT")
    by_main = universal(
        tranId=99, fromEmail=sender, toEmail=DESK, asset="USDT", amount="40", fromAccountType=ends[0],
        toAccountType=ends[1],
    )  # fmt: skip
    kind = {"asset": "USDT", "amount": "40.0", "transFrom": ends[0], "transTo": ends[1]}
    of_margin = replace(margin_transfer(**kind, txId=number, timestamp=T // 1000), account=DESK)
    later = replace(margin_transfer(**kind, txId=5, timestamp=T // 1000 + 60), account=DESK)
    found = mapped(by_main, of_margin, later)
    sign = "-" if is_out else ""
    assert sorted(told(found.transfers, "account", "source", "wallet", "amount")) == sorted(
        [
            (sender, "wallet_transfers" if sender == DESK else "sub_account_transfers", "SPOT", f"{sign}40"),
            (DESK, "margin_transfers", "SPOT", f"{sign}40.0"),
        ]
    )
    assert found.problems == []
    failed = universal(**{**by_main.content, "status": "FAILURE"})
    assert [row["source"] for row in mapped(failed, of_margin).transfers] == ["margin_transfers"]


@pytest.mark.parametrize("kind", ["MARGIN_ISOLATEDMARGIN", "ISOLATEDMARGIN_ISOLATEDMARGIN"])
def test_what_isolated_margin_gets_of_margin_is_another_move_than_what_it_gets_of_spot(kind: str) -> None:
    """One amount, in one second: who funds a pair forwards as much to another."""
    forwarded = wallet_transfer(kind, asset="BNB", amount="0.1", fromSymbol="BTCUSDT", toSymbol="BNBUSDT")
    found = mapped(forwarded, margin_transfer())
    assert told(found.transfers, "source", "wallet", "amount") == [("margin_transfers", "SPOT", "-0.1")]


def test_of_moves_that_are_told_twice_each_is_booked_once_whatever_their_numbers() -> None:
    """Margin transfers tell whole seconds, and failed ones tell of nothing."""

    def by_main(number: int, at: int, **more: Any) -> RawRecord:
        kind = {"asset": "USDT", "amount": "40", "toAccountType": "ISOLATED_MARGIN"}
        return universal(tranId=number, createTimeStamp=T // 1000 * 1000 + at, **kind, **more)

    def of_margin(number: int, second: int, **more: Any) -> RawRecord:
        kind = {"asset": "USDT", "amount": "40", "txId": number, "timestamp": T // 1000 + second}
        return replace(margin_transfer(**kind, **more), account=DESK)

    twice = mapped(by_main(98, 900), by_main(99, 1_500), of_margin(999, 0), of_margin(1_000, 1))
    assert told(twice.transfers, "account", "external_id", "amount") == [
        (MAIN, "98:out", "-40"), (MAIN, "99:out", "-40"),
    ]  # fmt: skip
    tried = mapped(
        by_main(98, 100, status="FAILURE"), by_main(99, 900),
        of_margin(700, 0, status="FAILED"), of_margin(701, 0),
    )  # fmt: skip
    assert told(tried.transfers, "account", "external_id", "amount") == [(MAIN, "99:out", "-40")]


@pytest.mark.parametrize(("symbol", "is_doubted"), [("", False), ("BNBUSDT", True)])
def test_a_margin_transfer_that_names_no_end_is_cross_margins_unless_isolated_margin_was_asked(
    symbol: str, is_doubted: bool
) -> None:
    asked, answer = SAMPLES["margin_transfers"]
    _, nameless = BY_NAME["margin_transfers"].rows(answer)
    found = mapped(record("margin_transfers", nameless, {**asked, "isolatedSymbol": symbol} if symbol else asked))
    assert (found.transfers, kinds(found)) == ([], ["malformed"] if is_doubted else [])


@pytest.mark.parametrize(("stream", "family"), [("margin_transfers", "FUNDING"), ("flexible_loan_borrows", "FUNDING")])
def test_a_stream_names_every_wallet_that_it_can_move(stream: str, family: str) -> None:
    assert family in BY_NAME[stream].wallets


def test_a_transfer_that_one_says_failed_and_another_says_was_done_is_a_conflict() -> None:
    refused = mapped(universal(status="FAILURE"), sub_user())
    assert refused.transfers == []
    done = mapped(universal(), sub_user(status="FAILURE"))
    assert told(done.transfers, *LEGS) == BOTH
    for found in (refused, done):
        assert {(p.kind, p.account, "status" in p.text) for p in found.problems} == {
            ("conflict", MAIN, True),
            ("conflict", DESK, True),
        }


def test_a_transfer_that_another_still_calls_under_way_is_done() -> None:
    found = mapped(universal(status="PROCESS"), sub_user())
    assert (told(found.transfers, "account"), found.problems) == ([DESK, MAIN], [])
    assert mapped(universal(status="FAILURE"), sub_user(status="FAILURE", qty=0.5)).problems == []


def test_a_transfer_that_cannot_be_believed_spoils_both_accounts() -> None:
    found = mapped(universal(amount=0.5))
    assert found.transfers == []
    assert [(p.kind, p.account, p.asset) for p in found.problems] == [
        ("malformed", MAIN, "BNB"),
        ("malformed", DESK, "BNB"),
    ]


def test_the_master_of_futures_is_told_by_the_ledger_and_not_by_its_history_of_transfers() -> None:
    content = {"from": MAIN, "to": DESK, "asset": "USDT", "qty": "1", "tranId": 5, "time": T}
    found = mapped(record("sub_futures_transfers", content, {"email": DESK, "futuresType": "1"}))
    assert (found.transfers, found.problems) == ([], [])


def test_what_is_told_in_two_ways_is_doubted_of_the_accounts_that_it_names() -> None:
    assert BY_NAME["universal_transfers"].wallets == ("SPOT",)
    moved = sample("universal_transfers", fromEmail=DESK, toEmail="stranger@example.com")
    held = sample("managed_snapshots")
    wrong = [row for doubted in (moved, held) for row in doubted_rows(doubted, CONTEXT)]
    assert told(wrong, "frame", "account", "wallet") == [
        *(("balances", DESK, wallet) for wallet in ("FUTURES", "MARGIN", "SPOT")),
        ("transfers", DESK, "SPOT"),
    ]
