"""A key is believed while it opens the account that it always opened."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from types import SimpleNamespace
from typing import Any, cast

import pytest

from recon_pipeline.api_settings import ApiAccount, ApiSettings
from recon_pipeline.errors import ConfigError, ReconError
from recon_pipeline.stores.raw import Stored, Told
from recon_pipeline.stores.reviews import Problem
from recon_pipeline.transport.credentials import Credentials
from recon_pipeline.transport.secret import Secret
from recon_pipeline.venues.binance.accounts import SUB_ACCOUNTS, check_names, facts_of, made_on
from recon_pipeline.venues.binance.family import IDENTITY, KEY_SEEN, _key_digest, _refuse_strangers, _spelling
from recon_pipeline.venues.binance.identity import unchecked, wrong_identities
from recon_pipeline.venues.binance.session import Session

MAIN, DESK, VAULT = "main@example.com", "desk@example.com", "vault@example.com"
COPY = "a.copy@example.com"
NOW = datetime(2026, 1, 3, tzinfo=UTC)
LISTED = {DESK: "2", VAULT: "3"}


@pytest.mark.parametrize(
    ("opened", "before", "listed", "wrong"),
    [
        ({MAIN: "1", DESK: "2"}, {}, LISTED, {}),
        ({MAIN: "1", DESK: "2"}, {MAIN: "1", DESK: "2"}, {}, {}),
        ({MAIN: "2", DESK: "1"}, {}, LISTED, {MAIN: DESK, DESK: "another account than before"}),
        ({DESK: "3"}, {}, LISTED, {DESK: VAULT}),
        ({MAIN: "901", DESK: "902"}, {}, LISTED, {}),
        ({DESK: "2"}, {DESK: "2"}, {DESK: "2", "a.former.name@example.com": "2", "z@example.com": "2"}, {}),
        ({MAIN: "7"}, {MAIN: "1"}, {}, {MAIN: "another account than before"}),
        ({COPY: "1"}, {MAIN: "1"}, {}, {COPY: MAIN}),
        ({COPY: "1"}, {MAIN: "1", COPY: "1"}, {}, {COPY: MAIN}),
        ({MAIN: "1"}, {MAIN: "1", COPY: "1"}, {}, {}),
        ({MAIN: "1", COPY: "1"}, {MAIN: "1"}, {}, {COPY: MAIN}),
        ({MAIN: "1", COPY: "1"}, {MAIN: "1", COPY: "1"}, {}, {COPY: MAIN}),
        ({MAIN: "1", COPY: "1"}, {}, {}, {MAIN: COPY, COPY: MAIN}),
        ({DESK: "2", COPY: "2"}, {}, LISTED, {COPY: DESK}),
        ({DESK: "2"}, {"a.former.name@example.com": "2"}, LISTED, {}),
    ],
)
def test_a_key_opens_the_account_that_it_is_for(
    opened: dict[str, str], before: dict[str, str], listed: dict[str, str], wrong: dict[str, str]
) -> None:
    found = wrong_identities(opened, before, listed)
    assert found.keys() == wrong.keys()
    assert all(whose in found[email].found for email, whose in wrong.items())


@pytest.mark.parametrize(
    ("before", "listed", "is_wrong"), [({}, {}, True), ({}, LISTED, False), ({DESK: "2"}, {}, False)]
)
def test_what_was_read_under_another_name_is_not_read_anew_unless_its_main_account_lists_it_so(
    before: dict[str, str], listed: dict[str, str], is_wrong: bool
) -> None:
    found = wrong_identities({DESK: "2"}, before, listed, {"a.former.name@example.com": "2"})
    assert [error.next_step.startswith("name it a.former.name@example.com") for error in found.values()] == (
        [True] if is_wrong else []
    )


@pytest.mark.parametrize(
    ("opened", "listed", "found"),
    [
        ({MAIN: "1", DESK: "2"}, LISTED, []),
        ({MAIN: "1", DESK: "902"}, {DESK: "2", VAULT: "1"}, []),  # somebody's number is on the list: DESK's is wrong
        ({MAIN: "901", DESK: "902"}, LISTED, [DESK]),
        ({VAULT: "903", DESK: "902"}, LISTED, [DESK, VAULT]),
        ({MAIN: "901"}, LISTED, []),
        ({MAIN: "901", DESK: "902"}, {}, []),
    ],
)
def test_sub_accounts_are_unchecked_where_the_list_has_none_of_the_numbers_that_keys_open(
    opened: dict[str, str], listed: dict[str, str], found: list[str]
) -> None:
    assert unchecked(opened, listed) == found


@dataclass
class Looked:
    """What was known of MAIN, DESK and the latter's main account's list when their keys were looked at."""

    numbers: Mapping[str, str] = field(default_factory=dict)
    listed: Mapping[str, str] = field(default_factory=dict)
    refused: dict[str, ReconError] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def strangers(self, keys: Mapping[str, str], told: Mapping[str, str | None]) -> dict[str, str]:
        """Who is refused, and why, when keys tell these numbers, None for an answer without any. Each number that is
        known was told with the key of its account's name."""

        def stored(account: str, stream: str, content: Mapping[str, str], key: str = "") -> Stored:
            return Stored(1, account, stream, key, {}, content, "", False, NOW, None, 1)

        def credentials(email: str, key: str) -> Credentials:
            return Credentials(email, Secret(key), Secret("a secret"))

        seen: Any = SimpleNamespace(keys={email: credentials(email, email) for email in self.numbers})
        records = {
            IDENTITY: [stored(email, IDENTITY, {"uid": uid}) for email, uid in self.numbers.items()],
            KEY_SEEN: [stored(email, KEY_SEEN, {"key": str(_key_digest(seen, email))}) for email in self.numbers],
            SUB_ACCOUNTS: [
                stored(MAIN, SUB_ACCOUNTS, {"email": email, "subUserId": uid}, email)
                for email, uid in self.listed.items()
            ],
        }
        session: Any = SimpleNamespace(
            api=settings(main=ApiAccount(MAIN, "main"), desk=ApiAccount(DESK, "desk")),
            raw=SimpleNamespace(records=lambda streams: [row for stream in streams for row in records[stream]]),
            keys={email: credentials(email, key) for email, key in keys.items()},
            has_key=keys.__contains__,
            refused=self.refused,
            record=lambda *_: None,
            tell_once=self.problems.append,
        )
        _refuse_strangers(
            session,
            {
                (email, IDENTITY): [Told(IDENTITY, {}, {"uid": uid}, None, None)] if uid is not None else []
                for email, uid in told.items()
            },
            str,
        )
        assert all(error.expected and error.next_step for error in self.refused.values())
        return {email: type(error).__name__ for email, error in self.refused.items()}


def test_a_key_that_tells_no_number_is_believed_only_as_the_one_that_told_it() -> None:
    known, own, swapped = {MAIN: "1", DESK: "2"}, {MAIN: MAIN, DESK: DESK}, {MAIN: DESK, DESK: MAIN}
    silent: dict[str, str | None] = {MAIN: None, DESK: None}
    assert Looked(known).strangers(own, silent) == {}
    assert Looked(known).strangers(swapped, silent) == {MAIN: "AccountUnknown", DESK: "AccountUnknown"}
    assert Looked(known).strangers({MAIN: "a new one", DESK: DESK}, silent) == {MAIN: "AccountUnknown"}
    assert Looked(known).strangers({MAIN: "a new one", DESK: DESK}, {MAIN: "1", DESK: None}) == {}
    assert Looked({DESK: "2"}).strangers(swapped, silent) == {DESK: "AccountUnknown"}
    assert Looked().strangers(own, silent) == {}, "of an account that never had a number nothing can be checked"


def test_numbers_that_the_list_has_none_of_wait_for_a_person() -> None:
    keys = {MAIN: MAIN, DESK: DESK}
    differ = Looked(listed=LISTED)
    assert differ.strangers(keys, {MAIN: "901", DESK: "902"}) == {}
    (problem,) = differ.problems
    assert (problem.name, problem.account, problem.stream, problem.needs_manual_review) == (
        "NumbersDiffer", DESK, SUB_ACCOUNTS, True,
    )  # fmt: skip
    assert DESK in problem.found
    stranger = Looked(listed=LISTED)
    stranger.strangers(keys, {MAIN: "901", DESK: "77777"})
    assert stranger.problems[0].fingerprint != problem.fingerprint
    same = Looked(listed=LISTED)
    assert same.strangers(keys, {MAIN: "901", DESK: "2"}) == {}
    assert same.problems == []


def settings(**accounts: ApiAccount) -> ApiSettings:
    return ApiSettings({account.name: account for account in accounts.values()}, None, {}, Decimal(1))


def test_no_account_is_made_after_it_was_listed() -> None:
    listed = [
        Stored(1, MAIN, SUB_ACCOUNTS, sub, {}, {"createTime": at_ms}, "", False, NOW, None, 1)
        for sub, at_ms in {DESK: 1767400000000, VAULT: 1798800000000, COPY: None}.items()
    ]
    assert made_on(listed) == {DESK: NOW.date()}


def test_an_e_mail_in_another_case_is_no_other_account() -> None:
    fund = "fund@example.com"
    api = settings(
        main=ApiAccount(MAIN, "main", extras={"managed_subs": ("Fund@Example.com",)}),
        desk=ApiAccount(DESK, "desk"),
        fund=ApiAccount(fund, None),
    )
    subs = {MAIN: ("Desk@Example.com", "Vault@Example.com")}
    made = {"Desk@Example.com": date(2026, 1, 3)}
    facts = facts_of(api, {}, subs, {}, made=made)
    assert facts.keys() == {MAIN, DESK, fund, "Vault@Example.com"}
    assert facts[MAIN].subs == (*sorted([DESK, "Vault@Example.com"]),)
    assert (facts[DESK].master, facts[MAIN].made) == (MAIN, {DESK: date(2026, 1, 3)})
    extras = facts[MAIN].extras
    assert (extras["subs_without_key"], extras["managed_without_key"]) == (("Vault@Example.com",), (fund,))


def test_a_name_that_recon_yaml_does_not_have_stays_as_the_venue_wrote_it_first() -> None:
    session = SimpleNamespace(api=settings(main=ApiAccount(MAIN, "main"), desk=ApiAccount(DESK, "desk")))
    told = [(9, "VAULT@example.com"), (7, "Vault@Example.com"), (8, "DESK@example.com")]
    rows = [Stored(fid, MAIN, "sub_accounts", name, {}, {}, "", False, NOW, None, 1) for fid, name in told]
    ours = _spelling(cast(Session, session), rows)
    assert [ours(name.upper()) for name in (DESK, VAULT, COPY)] == [DESK, "Vault@Example.com", COPY.upper()]


def test_an_account_keeps_the_spelling_under_which_it_was_read() -> None:
    api = settings(main=ApiAccount(MAIN, "main"), desk=ApiAccount(DESK, "desk"))
    check_names(api, ["", MAIN, DESK, VAULT, "Desk@Example.com"])
    with pytest.raises(ConfigError, match=r"desk@example\.com was read as Desk@Example\.com before"):
        check_names(api, ["", MAIN, "Desk@Example.com"])
