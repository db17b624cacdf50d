"""The accounts of a world and their keys, the good ones and those that are wrong in every way a key can be."""

from __future__ import annotations

from dataclasses import dataclass, field

from recon_pipeline.sandbox.binance.chance import Dice

MAIN = "main@example.com"
FUND = "fund-1_virtual@managed.example.com"
"""A managed sub-account of the main account's: others trade in it, and no key of the family opens it."""
KINDS = ("good", "revoked", "wrong_ip", "no_reading", "trading", "withdrawing")
_PRODUCTS = (
    ("margin", "isolated", "futures", "futures_coin", "option"),  # the main account
    ("margin", "futures"),
    ("portfolio_margin",),
    ("futures", "futures_coin", "option"),
    ("margin", "isolated"),
    (),
)


@dataclass(frozen=True)
class Key:
    """An API key: what it opens, and from where."""

    email: str
    key: str
    secret: str
    kind: str = "good"

    @property
    def addresses(self) -> tuple[str, ...]:
        """The IP addresses it may be used from; none: any."""
        return ("203.0.113.7",) if self.kind == "wrong_ip" else ()


@dataclass(frozen=True)
class Account:
    """A login: the main account, or a sub-account of it."""

    email: str
    uid: int
    products: frozenset[str]
    pays_in_bnb: bool
    created_ms: int
    keys: dict[str, Key] = field(default_factory=dict, repr=False)

    @property
    def is_main(self) -> bool:
        """Whether it is the main account."""
        return self.email == MAIN

    @property
    def name(self) -> str:
        """`main`, `desk-1`: what its credentials are called after."""
        return self.email.split("@")[0].removesuffix("_virtual")


def sub_email(number: int) -> str:
    """The e-mail of a sub-account, counted from 1."""
    return f"desk-{number}_virtual@example.com"


def make_fund(first_ms: int) -> Account:
    """The managed sub-account; it is none of the accounts that do business."""
    return Account(FUND, 351_900_001, frozenset({"margin", "futures"}), False, first_ms - 400 * 86_400_000)


def make_accounts(seed: int, subs: int, first_ms: int) -> dict[str, Account]:
    """The main account and its subs; every product has an account that opened it and one that did not."""
    accounts = {}
    for number in range(subs + 1):
        email = sub_email(number) if number else MAIN
        dice = Dice(seed, "account", email)
        products = frozenset(_PRODUCTS[0 if number == 0 else 1 + (number - 1) % (len(_PRODUCTS) - 1)])
        keys = {kind: Key(email, dice.hex(64), dice.hex(64), kind) for kind in KINDS}
        uid = 350_000_000 + number * 1_111 + dice.between(0, 999)
        created = first_ms - dice.between(40, 900) * 86_400_000
        accounts[email] = Account(email, uid, products, number % 2 == 0, created, keys)
    return accounts
