"""What a key and an account may do, and the sub-accounts of the main one."""

from __future__ import annotations

from collections.abc import Callable

from recon_pipeline.sandbox.binance.accounts import Account
from recon_pipeline.sandbox.binance.api import refusals
from recon_pipeline.sandbox.binance.api.call import Answer, Call
from recon_pipeline.sandbox.binance.book import Content
from recon_pipeline.sandbox.binance.life.transfers import ISOLATED_SYMBOLS
from recon_pipeline.sandbox.binance.money import ZERO, plain


def restrictions(call: Call) -> Answer:
    """`/sapi/v1/account/apiRestrictions`: what the key may do."""
    kind = call.key_kind
    return {
        "ipRestrict": kind == "wrong_ip", "createTime": call.account.created_ms, "enableReading": True,
        "enableWithdrawals": kind == "withdrawing", "enableInternalTransfer": False, "enableMargin": False,
        "enableFutures": False, "permitsUniversalTransfer": False, "enableVanillaOptions": False,
        "enableFixApiTrade": False, "enableFixReadOnly": True, "enableSpotAndMarginTrading": kind == "trading",
        "enablePortfolioMarginTrading": False,
    }  # fmt: skip


def info(call: Call) -> Answer:
    """`/sapi/v1/account/info`: the products that the account has opened."""
    products = call.account.products
    return {
        "vipLevel": 0,
        "isMarginEnabled": "margin" in products,
        "isFutureEnabled": bool({"futures", "futures_coin"} & products),
        "isOptionsEnabled": "option" in products,
        "isPortfolioMarginRetailEnabled": "portfolio_margin" in products,
    }


def find_sub(call: Call, name: str = "email") -> Account:
    """The sub-account that a question of the main account names."""
    account = call.world.accounts.get(call.need(name))
    if account is None or account.is_main:
        raise refusals.Refusal(-4003, "Sub-account does not exist.")
    return account


def sub_accounts(call: Call) -> Answer:
    """`/sapi/v1/sub-account/list`."""
    subs = [account for account in call.world.accounts.values() if not account.is_main]
    if call.text("email"):
        subs = [account for account in subs if account.email == call.text("email")]
    page, limit = call.number("page", 1) or 1, call.number("limit", 1) or 1
    if limit > 200:
        raise refusals.too_large("limit", 200)
    shown = subs[(page - 1) * limit : page * limit] if call.text("isFreeze", "false") == "false" else []
    return {"subAccounts": [_described(account) for account in shown]}


def _described(account: Account) -> Content:
    return {
        "subUserId": account.uid, "email": account.email, "remark": account.name, "isFreeze": False,
        "createTime": account.created_ms, "isManagedSubAccount": False, "isAssetManagementSubAccount": False,
    }  # fmt: skip


def sub_statuses(call: Call) -> Answer:
    """`/sapi/v1/sub-account/status`."""
    subs = [account for account in call.world.accounts.values() if not account.is_main]
    return [
        {"email": sub.email, "isSubUserEnabled": True, "isUserActive": True, "insertTime": sub.created_ms,
         "isMarginEnabled": "margin" in sub.products, "isFutureEnabled": "futures" in sub.products, "mobile": 0}
        for sub in subs if call.text("email", sub.email) == sub.email
    ]  # fmt: skip


def token(name: str, asset: str) -> Callable[[Call], Answer]:
    """`/sapi/v1/bfusd/account` and its like: how much of the token is held in the spot wallet."""

    def answer(call: Call) -> Answer:
        held = call.world.ledger.at(call.now_us, call.account.email, "SPOT").get(asset, ZERO)
        return {f"{name}Amount": plain(held), "totalProfit": "0"}

    return answer


def isolated_limit(call: Call) -> Answer:
    """`/sapi/v1/margin/isolated/accountLimit`."""
    return {"enabledAccount": len(ISOLATED_SYMBOLS) if "isolated" in call.account.products else 0, "maxAccount": 20}


def bnb_burn(call: Call) -> Answer:
    """`/sapi/v1/bnbBurn`: whether fees and interest are paid in BNB."""
    return {"spotBNBBurn": call.account.pays_in_bnb, "interestBNBBurn": call.account.pays_in_bnb}
