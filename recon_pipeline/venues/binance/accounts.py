"""What is known of an account of Binance: from recon.yaml, and from what the venue says of it and its sub-accounts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from recon_pipeline.api_settings import ApiSettings
from recon_pipeline.venues.streams import AccountFacts

ACCOUNT_INFO = "account_info"
SUB_ACCOUNTS = "sub_accounts"
ISOLATED = "isolated_account"
"""The capture that names the markets of isolated margin: each has a ledger that must be asked for by name."""
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


def facts_of(
    api: ApiSettings,
    info: Mapping[str, Mapping[str, Any]],
    subs: Mapping[str, Iterable[str]],
    isolated: Mapping[str, Iterable[str]],
) -> dict[str, AccountFacts]:
    """The accounts by e-mail: those of recon.yaml, and the sub-accounts that a main account's key named besides.

    `info` is the venue's account info by e-mail, `subs` the sub-accounts of each main account, `isolated` the symbols
    of isolated margin that captures found. An account whose key said nothing yet has only what every account has.
    """
    master_of = {sub: master for master, of_master in sorted(subs.items()) for sub in sorted(of_master)}
    facts = {}
    for email in sorted({*api.accounts, *master_of}):
        settings = api.accounts.get(email)
        of_master = tuple(sorted(set(subs.get(email, ()))))
        extras = dict(settings.extras) if settings else {}
        extras["isolated_symbols"] = tuple(sorted({*extras.get("isolated_symbols", ()), *isolated.get(email, ())}))
        keyless = tuple(sub for sub in of_master if sub not in api.accounts or not api.accounts[sub].credentials)
        facts[email] = AccountFacts(
            email=email,
            master=master_of.get(email),
            subs=of_master,
            products=products(info.get(email, {})),
            default_wallet=settings.default_wallet if settings else "SPOT",
            extras={**extras, "subs_without_key": keyless},
        )
    return facts


def products(info: Mapping[str, Any]) -> frozenset[str]:
    """What an account has opened, as the venue's account info says."""
    opened = (product for field, of_field in _PRODUCTS.items() if info.get(field) is True for product in of_field)
    return ALWAYS | frozenset(opened)


def families(facts: AccountFacts) -> frozenset[str]:
    """The families of wallets that the account has."""
    return frozenset(family for product in facts.products for family in FAMILIES[product])


def isolated_symbols(capture: Mapping[str, Any]) -> set[str]:
    """The markets of isolated margin that a capture lists."""
    return {str(row["symbol"]) for row in capture.get("rows", ()) if "symbol" in row}
