"""What is known of an account of Binance: from recon.yaml, and from what the venue says of it and its sub-accounts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, date
from typing import Any, NamedTuple, TypeAlias

from recon_pipeline.api_settings import EMAILS, ApiSettings
from recon_pipeline.errors import ConfigError
from recon_pipeline.stores.raw import DayRead, Stored
from recon_pipeline.transport.errors import UnexpectedAnswer
from recon_pipeline.venues.binance.streams.shapes import at, whole
from recon_pipeline.venues.pull import ONE_DAY
from recon_pipeline.venues.streams import AccountFacts

ACCOUNT_INFO = "account_info"
NOT_THERE = DayRead("not_applicable", message="the account does not have it")
OPENED_UNKNOWN = DayRead("failed", error="OpenedUnknown", message="what the account has opened could not be read")
"""Of a product that the account had not opened when the venue last said so: by now it may have."""
SUB_ACCOUNTS = "sub_accounts"
SUBS_LISTED = "sub_accounts_listed"
"""The record that names the sub-accounts of a main account's newest list; every one ever listed has a record of its
own."""
NAMING = {
    "isolated_account": ("isolated_symbols", "symbol"),
    "portfolio_margin_balance": ("portfolio_margin_assets", "asset"),
    "pm_margin_interest": ("portfolio_margin_assets", "asset"),
}
"""Records that name what other streams must be asked for by name: the extra of an account that they add to, and in
which field. Each market of isolated margin has a ledger, each asset of portfolio margin its loans."""
Named: TypeAlias = dict[str, dict[str, set[str]]]
"""By account, then by extra: what the venue itself has named so far."""
_OF_EMAILS = frozenset({"managed_subs", "managed_trader_subs", "managed_accounts", "custody_subs"})
"""The extras that name accounts."""
EVERYBODY = ""
"""The account of what belongs to no account: the list of markets, and prices."""
ALWAYS = frozenset({"spot", "earn"})
_PRODUCTS = {
    "isMarginEnabled": ("margin",),
    "isFutureEnabled": ("futures", "futures_coin"),
    "isOptionsEnabled": ("option",),
    "isPortfolioMarginRetailEnabled": ("portfolio_margin",),
}
FAMILIES = {
    "spot": ("SPOT", "FUNDING"),
    "earn": ("EARN",),
    "margin": ("MARGIN", "ISOLATED_MARGIN"),
    "futures": ("FUTURES",),
    "futures_coin": ("FUTURES_COIN",),
    "option": ("OPTION",),
    "portfolio_margin": ("PORTFOLIO_MARGIN",),
}
"""The wallets that a product has."""


class Stretch(NamedTuple):
    """The days on which an account may have had a product opened."""

    first: date
    """The day on which the venue said so first."""
    left: date = date.max
    """The day on which it said first that it is opened no more: until then it may have been."""
    by: Stored | None = None
    """The account info that said so."""


Opened: TypeAlias = Mapping[str, Mapping[str, Sequence[Stretch]]]
"""When each account had which product, in the order of time; nothing of what every account has."""


def opened_by(history: Iterable[Stored]) -> Opened:
    """What every version of each account's info says of its products, in the order in which they were read. One that
    is back by the next day was there all along: a single answer is no fact."""
    opened: dict[str, dict[str, list[Stretch]]] = defaultdict(lambda: defaultdict(list))
    for row in history:
        day, now, of_account = row.read_at.astimezone(UTC).date(), products(row.content) - ALWAYS, opened[row.account]
        for product in sorted(now | of_account.keys()):
            stretches = of_account[product]
            if product not in now and stretches[-1].by is None:
                stretches[-1] = Stretch(stretches[-1].first, day, row)
            elif product in now and stretches and day - stretches[-1].left <= ONE_DAY:
                stretches[-1] = Stretch(stretches[-1].first)
            elif product in now:
                stretches.append(Stretch(day))
    return opened


def spelling(emails: Iterable[str], became: Mapping[str, Iterable[str]] | None = None) -> Callable[[str], str]:
    """How we write an e-mail that the venue or a setting may write in another case: as the first of these that is the
    same, for an account has one name here; one that is none of them as it stands. So we write what an e-mail `became`
    since."""
    ours: dict[str, str] = {}
    for name, others in (became or {}).items():
        ours |= {other.casefold(): name for other in others}
    for email in emails:
        ours.setdefault(email.casefold(), email)
    return lambda told: ours.get(told.casefold(), told)


def became(api: ApiSettings) -> dict[str, tuple[str, ...]]:
    """What the e-mails of accounts became since they were named, the newest last."""
    return {name: emails for name, account in api.accounts.items() if (emails := account.extras.get(EMAILS, ()))}


def check_names(api: ApiSettings, known: Iterable[str]) -> None:
    """ConfigError if recon.yaml writes an account in another case than the one under which it is `known`: it would be
    read under two names."""
    names = sorted(known)
    ours = spelling(names)
    for name in api.accounts:
        if name not in names and (read_as := ours(name)) != name:
            raise ConfigError(
                f"{name} was read as {read_as} before",
                where="recon.yaml, accounts",
                expected="one name for an account; upper and lower case make no other e-mail",
                next_step=f"write it {read_as}",
            )


def facts_of(
    api: ApiSettings,
    info: Mapping[str, Mapping[str, Any]],
    subs: Mapping[str, Iterable[str]],
    named: Mapping[str, Mapping[str, Iterable[str]]],
    *,
    listed: Mapping[str, Iterable[str]] | None = None,
    made: Mapping[str, date] | None = None,
    opened: Opened | None = None,
) -> dict[str, AccountFacts]:
    """The accounts by e-mail as recon.yaml writes it: those of recon.yaml, and the sub-accounts that a main account's
    key named besides.

    `info` is the venue's account info by e-mail, `subs` the sub-accounts of each main account, `named` what
    records have named for other streams, `listed` what the newest list of each main account names, `made` the days on
    which sub-accounts were made, `opened` what every account info so far said of products. An account whose key said
    nothing yet has only what every account has.
    """
    ours = spelling(api.accounts, became(api))
    subs = {master: [ours(sub) for sub in sorted(of_master)] for master, of_master in sorted(subs.items())}
    made = {ours(sub): day for sub, day in (made or {}).items()}
    master_of = {sub: master for master, of_master in subs.items() for sub in of_master}
    facts = {}
    for email in sorted({*api.accounts, *master_of}):
        settings = api.accounts.get(email)
        of_master = tuple(sorted(set(subs.get(email, ()))))
        extras = dict(settings.extras) if settings else {}
        extras |= {extra: tuple(map(ours, names)) for extra, names in extras.items() if extra in _OF_EMAILS}
        for extra, names in named.get(email, {}).items():
            extras[extra] = tuple(sorted({*extras.get(extra, ()), *names}))
        unlisted = frozenset(of_master).difference(map(ours, (listed or {}).get(email, of_master)))
        left = {sub for sub in unlisted - api.accounts.keys() if sub in info}  # it had a key, and was asked with that
        keyless = tuple(
            sub
            for sub in of_master
            if sub not in left and (sub not in api.accounts or not api.accounts[sub].credentials)
        )
        managed = tuple(sub for sub in extras.get("managed_subs", ()) if _is_keyless(api, sub))
        facts[email] = AccountFacts(
            email=email,
            master=master_of.get(email),
            is_alone=master_of.get(email) not in api.accounts,
            subs=of_master,
            unlisted=unlisted,
            made={sub: made[sub] for sub in of_master if sub in made},
            products=products(info.get(email, {})),
            had=_had((opened or {}).get(email, {})),
            default_wallet=settings.default_wallet if settings else "SPOT",
            extras={**extras, "subs_without_key": keyless, "managed_without_key": managed},
            gone=api.gone,
        )
    return facts


def without_key(api: ApiSettings, rows: Sequence[Stored]) -> list[str]:
    """The accounts that nobody gave a key of: those of recon.yaml, then the sub-accounts that main accounts' lists, the
    records of SUB_ACCOUNTS and SUBS_LISTED, name besides."""
    ours = spelling(api.accounts, became(api))
    discovered = {ours(sub) for of_master in subs_of(rows).values() for sub in of_master} - {*api.accounts}
    return [*(name for name in api.accounts if _is_keyless(api, name)), *sorted(discovered)]


def _had(opened: Mapping[str, Sequence[Stretch]]) -> dict[str, list[tuple[date, date]]]:
    """When an account had products that it has left since."""
    had: dict[str, list[tuple[date, date]]] = {}
    for product, stretches in opened.items():
        for stretch in stretches:
            if stretch.by is not None:
                had.setdefault(product, []).append((stretch.first, stretch.left))
    return had


def _is_keyless(api: ApiSettings, email: str) -> bool:
    """Whether recon.yaml names the account, and no key for it."""
    return email in api.accounts and not api.accounts[email].credentials


def listed_subs(rows: Iterable[Stored]) -> dict[str, tuple[str, ...]]:
    """What each main account's newest list names, out of the records of SUBS_LISTED and SUB_ACCOUNTS."""
    named: dict[str, list[str]] = {}
    newest: dict[str, list[str]] = {}
    for row in rows:
        if row.stream == SUBS_LISTED:
            newest[row.account] = list(row.content["subs"])
        else:
            named.setdefault(row.account, []).append(row.key)
    return {master: tuple(sorted(subs)) for master, subs in {**named, **newest}.items()}


def subs_of(rows: Sequence[Stored]) -> dict[str, tuple[str, ...]]:
    """The sub-accounts of each main account, out of the same records.

    One belongs to the account whose newest list names it, the one that changed last if there are several; one that no
    list names any more stays with the account that named it last: what it did there is asked for and mapped as before.
    """
    newest = listed_subs(rows)
    changed = {row.account: row.fid for row in rows if row.stream == SUBS_LISTED}
    master: dict[str, tuple[bool, int, str]] = {}
    for row in rows:
        if row.stream == SUB_ACCOUNTS:
            is_listed = row.key in newest[row.account]
            since = changed.get(row.account, row.fid) if is_listed else row.fid
            master[row.key] = max((is_listed, since, row.account), master.get(row.key, (False, 0, "")))
    subs: dict[str, list[str]] = {}
    for sub, (_, _, email) in master.items():
        subs.setdefault(email, []).append(sub)
    return {email: tuple(sorted(of_email)) for email, of_email in subs.items()}


def made_on(rows: Iterable[Stored]) -> dict[str, date]:
    """On which day each sub-account was made, out of the records of SUB_ACCOUNTS, as far as they tell. None is listed
    before it is made."""
    told = ((row, at("createTime")(row.content)) for row in rows if row.stream == SUB_ACCOUNTS)
    return {
        row.key: instant.date()
        for row, instant in told
        if instant is not None and instant.date() <= row.read_at.astimezone(UTC).date()
    }


def account_info(answer: Any) -> Mapping[str, Any]:
    """The venue's account info; UnexpectedAnswer unless it says of every product whether it is opened. One that it left
    out would be a wallet that nobody reads."""
    (info,) = whole(answer)
    for field in _PRODUCTS:
        if not isinstance(info.get(field), bool):
            found = f"{field} is missing, or is neither true nor false"
            raise UnexpectedAnswer(found, expected=f"{field} as true or false")
    return info


def products(info: Mapping[str, Any]) -> frozenset[str]:
    """What an account has opened, as the venue's account info says."""
    opened = (product for field, of_field in _PRODUCTS.items() if info.get(field) is True for product in of_field)
    return ALWAYS | frozenset(opened)


def families(opened: Iterable[str]) -> frozenset[str]:
    """The families of wallets that these products have, and those that every account has."""
    return frozenset(family for product in ALWAYS.union(opened) for family in FAMILIES[product])


def note_named(named: Named, account: str, stream: str, content: Mapping[str, Any]) -> None:
    """Take in what a record names; a capture does so in each of its rows."""
    extra, name_field = NAMING[stream]
    rows = content.get("rows")
    names = {
        str(row[name_field]) for row in (content, *(rows if isinstance(rows, list) else ())) if row.get(name_field)
    }
    named.setdefault(account, {}).setdefault(extra, set()).update(names)
