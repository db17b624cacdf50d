"""Whose sub-account an account is: what main accounts list now, and what they listed before."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from recon_pipeline.api_settings import DOUBTS, ApiAccount, ApiSettings
from recon_pipeline.stores.raw import RawStore, Told
from recon_pipeline.venues.binance.accounts import SUB_ACCOUNTS, SUBS_LISTED, subs_of
from recon_pipeline.venues.binance.reading import OF_CONTEXT, context_of, told_by

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
