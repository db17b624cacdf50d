"""The accounts of a run: whose each key is, what it may do, what the account has opened and which others it sees."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from recon_pipeline.errors import ConfigError, ReconError
from recon_pipeline.stores.raw import Stored, Told
from recon_pipeline.transport.credentials import Credentials
from recon_pipeline.transport.errors import ApiKeyInvalid, NotMainAccount, ProductNotEnabled
from recon_pipeline.venues.answers import reading, text_in
from recon_pipeline.venues.binance import endpoints as e
from recon_pipeline.venues.binance.accounts import (
    ACCOUNT_INFO,
    NAMING,
    SUB_ACCOUNTS,
    SUBS_LISTED,
    Named,
    account_info,
    became,
    facts_of,
    listed_subs,
    made_on,
    note_named,
    opened_by,
    products,
    spelling,
    subs_of,
)
from recon_pipeline.venues.binance.identity import unchecked, wrong_identities
from recon_pipeline.venues.binance.keycheck import check_key
from recon_pipeline.venues.binance.problems import key_warning, no_longer_listed, numbers_differ
from recon_pipeline.venues.binance.session import Session
from recon_pipeline.venues.binance.streams.shapes import under, whole
from recon_pipeline.venues.drain import Ask, PageRepeated, Params
from recon_pipeline.venues.streams import AccountFacts

IDENTITY = "identity"
KEY_SEEN = "identity_key"
"""The record that says with which key the number of an account was told last: its digest, never the key."""
SUBS_ON_A_PAGE = 200
_SUB_ROWS = under("subAccounts")


class AccountUnknown(ReconError):  # noqa: N818 - the name says what is the matter
    """Nobody could say yet which products an account has opened, and so which streams move it."""


def look_at_accounts(session: Session) -> dict[str, AccountFacts]:
    """What each key says of its account and of the sub-accounts that it may see; where it cannot be asked now, what it
    said last. Of an account that never said anything nothing may be assumed: it is not read."""
    info: dict[str, Mapping[str, Any]] = {row.account: row.content for row in session.raw.records([ACCOUNT_INFO])}
    of_lists = session.raw.records([SUB_ACCOUNTS, SUBS_LISTED])
    ours = _spelling(session, of_lists)
    subs = subs_of(of_lists)
    listed = {master: {*map(ours, named)} for master, named in listed_subs(of_lists).items()}
    told: dict[tuple[str, str], list[Told]] = {}

    def look(email: str) -> None:
        ask = session.ask_live(email)
        with session.told_of(email, ACCOUNT_INFO):
            _check_key(session, email)
            with session.told_of(email, IDENTITY):
                told[email, IDENTITY] = _number(ask)
            with session.told_of(email, SUB_ACCOUNTS):
                told[email, SUB_ACCOUNTS] = _listed(ask, ours, listed.get(email, ()), is_main=bool(subs.get(email)))
            if (email, SUB_ACCOUNTS) not in told and email not in subs:
                session.without_family.add(email)
            told[email, ACCOUNT_INFO] = [_info(ask, info.get(email))]

    session.each([name for name in session.api.accounts if session.has_key(name)], look)
    _refuse_own_subs(of_lists, told, ours)
    _refuse_strangers(session, told, ours)
    for (email, stream), of_email in sorted(told.items()):
        if email in session.refused:
            continue
        session.raw.keep(email, stream, of_email, {}, session.clock.now())
        if stream == IDENTITY:  # a key without a number passed only as the one that had told it
            seen = Told(KEY_SEEN, {}, {"key": _key_digest(session, email)}, None, None)
            session.raw.keep(email, KEY_SEEN, [seen], {}, session.clock.now())
        elif stream == ACCOUNT_INFO:
            info[email] = of_email[0].content
        elif stream == SUB_ACCOUNTS and (of_email or email in subs):
            names = sorted(each.key for each in of_email)
            if left_out := sorted(listed.get(email, set()) - {*names}):
                session.tell(no_longer_listed(email, left_out))
            newest = Told(SUBS_LISTED, {}, {"subs": names}, None, None)
            session.raw.keep(email, SUBS_LISTED, [newest], {}, session.clock.now())
    of_lists = session.raw.records([SUB_ACCOUNTS, SUBS_LISTED])
    subs = subs_of(of_lists)
    written = {name: emails[-1] for name, emails in became(session.api).items()}
    in_order = sorted((row for row in of_lists if row.stream == SUB_ACCOUNTS), key=lambda row: row.read_at)
    written |= {ours(row.key): str(row.content["email"]) for row in in_order}
    session.written = {email: told for email, told in written.items() if email != told}
    for email, why in session.keys.items():
        if isinstance(why, ReconError):
            session.record(why, email, ACCOUNT_INFO)
        elif email not in info and email not in session.refused:
            session.refused[email] = AccountUnknown(
                "what the account has opened could not be read",
                where=f"account {email}",
                expected="account info that says of every product whether it is opened",
                next_step="see with recon errors list why it was not told, then run again",
            )
    named: Named = {}
    for row in session.raw.records(list(NAMING)):
        note_named(named, row.account, row.stream, row.content)
    opened = opened_by(session.raw.history(ACCOUNT_INFO))
    return facts_of(session.api, info, subs, named, listed=listed_subs(of_lists), made=made_on(of_lists), opened=opened)


def _spelling(session: Session, of_lists: Sequence[Stored]) -> Callable[[str], str]:
    """How e-mails are written here: as in recon.yaml; others as the venue wrote them first, for they are names."""
    told = sorted((row for row in of_lists if row.stream == SUB_ACCOUNTS), key=lambda row: row.fid)
    return spelling([*session.api.accounts, *(row.key for row in told)], became(session.api))


def _refuse_own_subs(
    of_lists: Sequence[Stored], told: Mapping[tuple[str, str], list[Told]], ours: Callable[[str], str]
) -> None:
    """ConfigError if recon.yaml gives under emails of a main account what is a sub-account of it: the two would be
    booked as one."""
    listed = [(row.account, row.content) for row in of_lists if row.stream == SUB_ACCOUNTS]
    listed += [(email, row.content) for (email, of), rows in told.items() if of == SUB_ACCOUNTS for row in rows]
    for master, content in listed:
        email = str(content["email"])
        # one that is listed under its own name is another's key, which is told as such
        if ours(email) == master and email.casefold() != master.casefold():
            raise ConfigError(
                f"{email} is a sub-account of {master}, and no other e-mail of it",
                where=f"recon.yaml, accounts, {master}, emails",
                expected="what the account's own e-mail became",
                next_step="take it out there; a sub-account is an account of its own",
            )


def _refuse_strangers(session: Session, told: Mapping[tuple[str, str], list[Told]], ours: Callable[[str], str]) -> None:
    """Refuse keys that open another account than theirs, or may do so: those of which nobody could say it now and that
    are not the ones of which it was said before. What they told is not kept."""
    opened = {email: str(rows[0].content["uid"]) for (email, of), rows in told.items() if of == IDENTITY and rows}
    known = sorted(session.raw.records([IDENTITY]), key=lambda row: row.fid)
    before = {row.account: str(row.content["uid"]) for row in known if row.account in session.api.accounts}
    former = {row.account: str(row.content["uid"]) for row in known if row.account not in session.api.accounts}
    lists = [row.content for row in session.raw.records([SUB_ACCOUNTS])]
    lists += [row.content for (_, of), rows in told.items() if of == SUB_ACCOUNTS for row in rows]
    listed = {ours(str(row["email"])): str(row["subUserId"]) for row in lists if row.get("subUserId")}
    wrong: dict[str, ReconError] = dict(wrong_identities(opened, before, listed, former))
    for sub in unchecked(opened, listed):
        session.tell_once(numbers_differ(sub, opened[sub]))
    seen = {row.account: row.content["key"] for row in session.raw.records([KEY_SEEN])}
    # that nothing was said of a number is an answer only where none was ever known
    answered = {email for (email, of), rows in told.items() if of == IDENTITY and (rows or email not in before)}
    for email in {*before, *(email for email, _ in told)} - answered:
        if session.has_key(email) and seen.get(email) != _key_digest(session, email):
            wrong[email] = AccountUnknown(
                "whose account the key opens could not be read",
                where=f"account {email}",
                expected="the venue's number of the account, or the key that told it last",
                next_step="run again; if the venue tells no number any more, store that key again with recon secrets"
                " set; nothing is read with this one until then",
            )
    for email, error in wrong.items():
        session.refused[email] = error
        session.record(error, email, IDENTITY)


def _key_digest(session: Session, email: str) -> str | None:
    """Enough of a key's digest to tell it from others."""
    credentials = session.keys[email]
    if not isinstance(credentials, Credentials):
        return None
    return hashlib.sha256(credentials.key.reveal().encode()).hexdigest()[:16]


def _check_key(session: Session, email: str) -> None:
    """Refuse a key that may do more than read: the account is not asked for anything else."""
    credentials = session.keys[email]
    if isinstance(credentials, Credentials):
        try:
            rights = check_key(session.client, credentials, stop=session.asked.check)
        except ApiKeyInvalid as refused:
            session.refused[email] = refused
            raise
        warnings = [f"the key may {name}, which this release does not know" for name in rights.unknown]
        if not rights.is_bound_to_addresses:
            warnings.append("the key works from any address")
        for found in warnings:
            session.tell(key_warning(found, email))


def _info(ask: Ask, before: Mapping[str, Any] | None) -> Told:
    """What the account has opened. One that says something else than `before` is asked for again: one answer is no
    fact."""
    answer = ask(e.ACCOUNT_INFO, [])
    with reading(e.ACCOUNT_INFO, answer.response_id):
        content = account_info(answer.json)
    if before is not None and products(content) != products(before):
        return _info(ask, None)
    return Told(ACCOUNT_INFO, {}, content, None, answer.response_id)


def _number(ask: Ask) -> list[Told]:
    """The venue's number of the account; nothing if it does not tell one."""
    answer = ask(e.ACCOUNT, [("omitZeroBalances", "true")])
    with reading(e.ACCOUNT, answer.response_id):
        (content,) = whole(answer.json)
        number = content.get("uid")
    return [Told(IDENTITY, {}, {"uid": str(number)}, None, answer.response_id)] if number is not None else []


def _listed(ask: Ask, ours: Callable[[str], str], before: Collection[str], *, is_main: bool) -> list[Told]:
    """The list of sub-accounts. One that names another no more is asked for again: one empty answer is no fact."""
    told = _subs(ask, ours, is_main=is_main)
    if set(before) - {each.key for each in told}:
        told = _subs(ask, ours, is_main=is_main)
    return told


def _subs(ask: Ask, ours: Callable[[str], str], *, is_main: bool) -> list[Told]:
    """The sub-accounts of a main account; none if it is one itself. A refusal says so of one that never had any; of
    one that had some it may be a ban that passes, and comes out."""
    told: list[Told] = []
    try:
        while True:
            page: Params = [("page", str(len(told) // SUBS_ON_A_PAGE + 1)), ("limit", str(SUBS_ON_A_PAGE))]
            answer = ask(e.SUB_ACCOUNTS, page)
            with reading(e.SUB_ACCOUNTS, answer.response_id):
                rows = _SUB_ROWS(answer.json)
                told += [Told(ours(text_in(row, "email")), {}, row, None, answer.response_id) for row in rows]
            if len(rows) < SUBS_ON_A_PAGE:
                break
            if len({each.key for each in told}) < len(told):
                raise PageRepeated("a page of sub-accounts was told twice", where=str(e.SUB_ACCOUNTS))
    except (NotMainAccount, ProductNotEnabled):
        if is_main:
            raise
        return []
    return told
