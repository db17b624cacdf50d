"""Wallets that keep a ledger of their own: whatever moves them is told there, transfers from other wallets too."""

from __future__ import annotations

from decimal import Decimal
from typing import TypeAlias

from recon_pipeline.sandbox.binance.accounts import Account
from recon_pipeline.sandbox.binance.life.scene import Scene
from recon_pipeline.sandbox.binance.money import plain, text8

UM_INCOME, CM_INCOME = "/fapi/v1/income", "/dapi/v1/income"
PM_UM_INCOME, PM_CM_INCOME = "/papi/v1/um/income", "/papi/v1/cm/income"
CAPITAL_FLOW, OPTION_BILL = "/sapi/v1/margin/capital-flow", "/eapi/v1/bill"
MARGIN_TRANSFERS = "/sapi/v1/margin/transfer"
ISOLATED = "ISOLATED_MARGIN:"
INCOME_WALLETS = {
    UM_INCOME: "FUTURES", CM_INCOME: "FUTURES_COIN", PM_UM_INCOME: "PORTFOLIO_MARGIN", PM_CM_INCOME: "PORTFOLIO_MARGIN",
}  # fmt: skip
_TRAN_ID, _BILL_ID = 9_689_322_392, 1_125_899_906_842_624_042
Money: TypeAlias = tuple[str, Decimal]
"""An asset and a signed amount of it."""


def next_tran(scene: Scene) -> int:
    """A transaction id."""
    return scene.next_id("tranId", _TRAN_ID)


def income(
    scene: Scene, account: Account, path: str, money: Money, kind: str, *, symbol: str = "", tran_id: int | None = None,
    trade_id: str = "",
) -> None:  # fmt: skip
    """One row of a futures ledger. Its tranId is unique within its kind only, and text on all hosts but /fapi."""
    asset, amount = money
    number = tran_id or next_tran(scene)
    scene.move(account, INCOME_WALLETS[path], asset, amount, f"{path} {kind}:{number}")
    content = {
        "symbol": symbol, "incomeType": kind, "income": text8(amount), "asset": asset, "info": kind,
        "time": scene.now_ms, "tranId": number if path == UM_INCOME else str(number), "tradeId": trade_id,
    }  # fmt: skip
    scene.tell(account, path, content)


def capital_flow(
    scene: Scene,
    account: Account,
    wallet: str,
    money: Money,
    kind: str,
    *,
    tran_id: int | None = None,
    symbol: str = "",
) -> None:
    """One row of the margin ledger, of the cross wallet or of an isolated one."""
    asset, amount = money
    isolated = wallet.removeprefix(ISOLATED) if wallet.startswith(ISOLATED) else ""
    number = scene.next_id("capital-flow", 123_456)
    scene.move(account, wallet, asset, amount, f"{CAPITAL_FLOW} {number}")
    content = {
        "id": number, "tranId": tran_id or next_tran(scene), "timestamp": scene.now_ms, "asset": asset,
        "symbol": isolated or symbol, "type": kind, "amount": plain(amount), "note": "",
    }  # fmt: skip
    scene.tell(account, f"{CAPITAL_FLOW} {isolated}".strip(), content).order = number


def option_bill(scene: Scene, account: Account, money: Money, kind: str) -> None:
    """One row of the options ledger."""
    asset, amount = money
    number = scene.next_id("bill", _BILL_ID)
    scene.move(account, "OPTION", asset, amount, f"{OPTION_BILL} {number}")
    content = {"id": number, "asset": asset, "amount": plain(amount), "type": kind, "createDate": scene.now_ms}
    scene.tell(account, f"{OPTION_BILL} {asset}", content).order = number


def leg(scene: Scene, account: Account, wallet: str, money: Money, tran_id: int, *, kind: str = "TRANSFER") -> None:
    """One leg of a transfer: the wallet's own ledger tells of it, where it has one."""
    asset, amount = money
    if wallet in ("FUTURES", "FUTURES_COIN"):
        path = UM_INCOME if wallet == "FUTURES" else CM_INCOME
        income(scene, account, path, money, kind, tran_id=tran_id)
    elif wallet == "MARGIN" or wallet.startswith(ISOLATED):
        capital_flow(scene, account, wallet, money, "TRANSFER", tran_id=tran_id)
    elif wallet == "OPTION":
        option_bill(scene, account, money, "TRANSFER")
    elif wallet != "ALPHA":
        scene.move(account, wallet, asset, amount, f"transfer {tran_id}")
