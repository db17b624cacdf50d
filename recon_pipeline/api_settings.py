"""What recon.yaml says of a venue that is asked over HTTP: its accounts, where it is, and how doubts are read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from recon_pipeline.yaml_reader import Section, Value, shown

API_KINDS = ("binance",)
API_KEYS = ("accounts", "sandbox", "doubts", "share_of_allowance", "gone")

DOUBTS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "binance": {
        "snapshot_as_of": ("end_of_day", "as_stamped"),
        "dust_amount": ("gross", "net"),
        "deposit_credit": ("complete_time", "insert_time"),
        "withdrawal_debit": ("apply_time", "complete_time"),
        "realtime_rewards": ("position", "spot"),
        "fiat_wallet": ("spot", "funding"),
        "status_6_deposits": ("credited", "not_credited"),
        "product_rewards": ("history", "dividends"),
        "bfusd_rewards": ("spot", "futures"),
        "converted_interest": ("interest_history", "capital_flow"),
        "boost_rewards": ("claims", "all"),
        "flexible_loans": ("own_history", "loan_income"),
        "algo_fills": ("in_trades", "apart"),
        "sub_transfer_ids": ("shared", "own"),
    }
}
"""What a venue's documentation leaves open and an amount, a wallet or an instant hangs on: the readings, the first one
being the default."""

EMAILS = "emails"
EXTRAS = (
    EMAILS,
    "isolated_symbols",
    "mining_users",
    "mining_algorithms",
    "option_currencies",
    "detail_symbols",
    "portfolio_margin_assets",
    "managed_subs",
    "managed_trader_subs",
    "managed_accounts",
    "custody_subs",
    "prediction_wallets",
    "left_products",
    "never_used",
)
"""What only the user knows of an account, and some streams need; `never_used` names streams that it has not,
`left_products` what it had opened and left before it was asked first, and `emails` what its e-mail at the venue became
since, the newest last: its name stays."""

_ACCOUNT_KEYS = ("credentials", "default_wallet", "user_id", *EXTRAS)
_CREDENTIALS = re.compile(r"[a-z][a-z0-9_]{0,59}")
_SHAPES = {
    "mining_users": (re.compile(r"[a-z0-9]+:\S(.*\S)?"), "algorithm and worker in one text, such as sha256:worker"),
    "mining_algorithms": (re.compile(r"[a-z0-9]+"), "the algorithm in lower-case letters, such as sha256"),
    "left_products": (
        re.compile("margin|futures|futures_coin|option|portfolio_margin"),
        "one of margin, futures, futures_coin, option, portfolio_margin",
    ),
    "detail_symbols": (re.compile(r"[a-z_]+:[^\s:]+"), "product and market in one text, such as margin:BTCUSDT"),
}
"""What a text has to look like, and what is expected. Asked in two spellings a record would be told twice."""
_LOOPBACK = re.compile(r"http://(127\.0\.0\.1|localhost|\[::1\])(:\d+)?/?")


@dataclass(frozen=True)
class ApiAccount:
    """One account: its name (at Binance the e-mail), and the name under which its key stands among the secrets.

    Without a key, only what the key of its main account may see of it is read.
    """

    name: str
    credentials: str | None
    default_wallet: str = "SPOT"
    user_id: str | None = None
    """Its number in the statements that a person downloads."""
    extras: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class ApiSettings:
    """A venue's API: accounts by name; `sandbox` is a simulated venue's URL, in place of the real hosts."""

    accounts: Mapping[str, ApiAccount]
    sandbox: str | None
    doubts: Mapping[str, str]
    share_of_allowance: Decimal
    gone: Mapping[str, date] = field(default_factory=dict)
    """Streams that the venue has removed, and the first day on which it had each no more."""


def read_api(kind: str, section: Section) -> ApiSettings:
    """The API part of a venue's section; ConfigError with the line of what is wrong."""
    listed = section.need("accounts", "the accounts, each under its name (at Binance its e-mail)")
    accounts = {name: _account(name, value) for name, value in listed.section()}
    if not accounts:
        raise listed.error("no account", expected="at least one account under its name")
    _check_names(listed, accounts)
    _check_user_ids(listed, accounts)
    share, gone = section.get("share_of_allowance"), section.get("gone")
    return ApiSettings(
        accounts=accounts,
        sandbox=_sandbox(section.named("sandbox")),  # left blank it would be the venue itself
        doubts=_doubts(kind, section.get("doubts")),
        share_of_allowance=_share(share) if share else Decimal("0.5"),
        gone={stream: since.day() for stream, since in gone.section()} if gone else {},
    )


def _check_names(at: Value, accounts: Mapping[str, ApiAccount]) -> None:
    """Upper and lower case make no other e-mail: the account would be read twice."""
    named: dict[str, str] = {}
    for name in accounts:
        if (other := named.setdefault(name.casefold(), name)) != name:
            raise at.error(f"{other} and {name} are one account", expected="each account once, in one spelling")
    for name, account in accounts.items():
        for email in account.extras.get(EMAILS, ()):
            if (other := named.setdefault(email.casefold(), name)) != name:
                raise at.error(
                    f"{email} is an e-mail of {other} and of {name}",
                    expected="each e-mail at one account",
                    next_step="an account keeps its name when its e-mail changes: name it once, by the first of them",
                )


def _check_user_ids(at: Value, accounts: Mapping[str, ApiAccount]) -> None:
    """A statement is of the one account whose number it states."""
    named: dict[str, str] = {}
    for account in accounts.values():
        if account.user_id is not None and (other := named.setdefault(account.user_id, account.name)) != account.name:
            raise at.error(f"{other} and {account.name} have one user_id", expected="a user_id of its own for each")


def _account(name: str, at: Value) -> ApiAccount:
    if not name.isprintable():
        found = f"the account's name holds a character that does not show: {name!a}"
        raise at.error(found, expected="the name as the venue shows it", next_step="type it anew instead of pasting it")
    section = at.section(_ACCOUNT_KEYS)
    credentials, wallet = section.get("credentials"), section.get("default_wallet")
    text = credentials.text(expected="the name of its credentials") if credentials else None
    if credentials is not None and text is not None and not _CREDENTIALS.fullmatch(text):
        raise credentials.error(
            "that cannot name credentials",  # it may be the key itself: it is not repeated
            expected="a name of lower-case letters, digits and _, such as binance_main; never the key itself",
            next_step="store the key under that name: recon secrets set binance_main_key and binance_main_secret, or"
            " BINANCE_MAIN_KEY and BINANCE_MAIN_SECRET in the environment",
        )
    extras = {key: _texts(key, value) for key in EXTRAS if (value := section.get(key))}
    user_id = section.get("user_id")
    return ApiAccount(
        name,
        text,
        wallet.choice(("SPOT", "FUNDING")) if wallet else "SPOT",
        user_id.text(expected="the User_ID of its statements") if user_id else None,
        extras,
    )


def _texts(key: str, at: Value) -> tuple[str, ...]:
    texts: list[str] = []
    for item in at.items():
        shape, expected = _SHAPES.get(key, (None, "text"))
        text = item.text(expected=expected)
        if shape is not None and not shape.fullmatch(text):
            raise item.error(f"{shown(text)} is none of {key}", expected=expected)
        if text in texts:
            raise item.error(f"{shown(text)} stands twice in {key}", expected="each of them once")
        texts.append(text)
    return tuple(texts)


def _sandbox(at: Value | None) -> str | None:
    if at is None:
        return None
    url = at.text(expected="the URL that recon sandbox printed")
    if not _LOOPBACK.fullmatch(url):
        raise at.error("a sandbox runs on this machine", expected="a URL such as http://127.0.0.1:8790")
    return url.rstrip("/")


def _doubts(kind: str, at: Value | None) -> dict[str, str]:
    known = DOUBTS[kind]
    read = {name: values[0] for name, values in known.items()}
    for name, value in at.section(tuple(known)) if at else ():
        read[name] = value.choice(known[name])
    return read


def _share(at: Value) -> Decimal:
    share = at.number()
    if not 0 < share <= 1:
        raise at.error(f"share_of_allowance is {share:f}", expected="more than 0, at most 1; 0.5 by default")
    return share
