"""Crypto loans: of a fixed rate (told by their income list), flexible ones, and those of VIP clients."""

from __future__ import annotations

from decimal import Decimal
from functools import partial

from recon_pipeline.sandbox.binance.accounts import Account
from recon_pipeline.sandbox.binance.chance import Dice
from recon_pipeline.sandbox.binance.life.ledgers import Money, next_tran
from recon_pipeline.sandbox.binance.life.scene import Scene
from recon_pipeline.sandbox.binance.moments import DAY_MS
from recon_pipeline.sandbox.binance.money import floor8, plain

INCOME = "/sapi/v1/loan/income"
_FLEXIBLE = "/sapi/v2/loan/flexible"
BORROWED, REPAID = f"{_FLEXIBLE}/borrow/history", f"{_FLEXIBLE}/repay/history"
ADJUSTED, LIQUIDATED = f"{_FLEXIBLE}/ltv/adjustment/history", f"{_FLEXIBLE}/liquidation/history"
FLEXIBLE = (BORROWED, REPAID, ADJUSTED, LIQUIDATED)
ONGOING = f"{_FLEXIBLE}/ongoing/orders"
VIP_REPAID, VIP_INTEREST = "/sapi/v1/loan/vip/repay/history", "/sapi/v1/loan/vip/accruedInterest"
VIP_ONGOING = "/sapi/v1/loan/vip/ongoing/orders"
_INCOMING = ("borrowIn", "collateralReturn", "removeCollateral", "collateralReturnAfterLiquidation")
_OUTGOING = ("collateralSpent", "repayAmount", "addCollateral")


def plan(scene: Scene) -> None:
    """Everything of this kind, for every account."""
    deeds = ((INCOME, income_row), (BORROWED, borrow), (REPAID, repay), (ADJUSTED, adjust), (LIQUIDATED, liquidate),
             (VIP_REPAID, repay_vip), (VIP_INTEREST, accrue_vip))  # fmt: skip
    busy = scene.dice.fork("busy-loans").pick(list(scene.accounts.values()))
    for path, deed in deeds:
        for account in scene.accounts.values():
            scene.often(path, account, 4 if path == INCOME else 2, partial(deed, scene), cut="either")
        scene.burst(path, busy, 110, partial(deed, scene))
    for account in scene.accounts.values():
        _open_vip(scene, account)


def _open_vip(scene: Scene, account: Account) -> None:
    """A loan taken long before the world began."""
    content = {
        "orderId": 100_000_001, "loanCoin": "USDT", "totalDebt": "10000", "loanRate": "0.0123",
        "residualInterest": "0", "collateralAccountId": str(account.uid), "collateralCoin": "BNB,BTC,ETH",
        "totalCollateralValueAfterHaircut": "25000.27565492", "lockedCollateralValue": "25000.27565492",
        "currentLTV": "0.57", "expirationTime": scene.end_ms + 60 * DAY_MS, "loanDate": str(account.created_ms),
        "loanTerm": "Open Term",
    }  # fmt: skip
    scene.tell(account, VIP_ONGOING, content, at_ms=account.created_ms)


def _amount(scene: Scene, account: Account, dice: Dice, asset: str) -> Decimal:
    return dice.part(scene.have(account, "SPOT", asset), 1, 6)


def income_row(scene: Scene, account: Account, dice: Dice) -> None:
    """One step of a fixed-rate loan."""
    kind = dice.pick((*_INCOMING, *_OUTGOING))
    asset = "USDT" if kind in ("borrowIn", "repayAmount") else "BNB"
    amount = _amount(scene, account, dice, asset)
    if not amount:
        return
    _tell_income(scene, account, (asset, amount if kind in _INCOMING else -amount), kind)


def _tell_income(scene: Scene, account: Account, money: Money, kind: str) -> None:
    asset, amount = money
    tran_id = str(next_tran(scene))
    scene.move(account, "SPOT", asset, amount, f"{INCOME} {tran_id}")
    content = {
        "asset": asset, "type": kind, "amount": plain(abs(amount)), "timestamp": scene.now_ms, "tranId": tran_id,
    }  # fmt: skip
    scene.tell(account, INCOME, content)


def _step(scene: Scene, account: Account, path: str, money: Money, kind: str) -> None:
    """One move of a flexible loan: its own history alone tells of it, or (in a world of that kind) the income of loans
    as well."""
    if scene.doubts["flexible_loans"] == "loan_income":
        _tell_income(scene, account, money, kind)
    else:
        scene.move(account, "SPOT", *money, path)


def borrow(scene: Scene, account: Account, dice: Dice) -> None:
    """Dollars borrowed against BNB, which leaves the spot wallet."""
    pledged = _amount(scene, account, dice, "BNB")
    lent = floor8(pledged * scene.market.usd("BNB", scene.now_ms) * Decimal("0.6"))
    if not lent:
        return
    _step(scene, account, BORROWED, ("USDT", lent), "borrowIn")
    _step(scene, account, BORROWED, ("BNB", -pledged), "collateralSpent")
    content = {
        "loanCoin": "USDT", "initialLoanAmount": plain(lent), "collateralCoin": "BNB",
        "initialCollateralAmount": plain(pledged), "borrowTime": scene.now_ms, "status": "SUCCESS",
    }  # fmt: skip
    scene.tell(account, BORROWED, content)


def repay(scene: Scene, account: Account, dice: Dice) -> None:
    """Dollars paid back, and what was pledged for them returned."""
    paid = _amount(scene, account, dice, "USDT")
    returned = floor8(paid / scene.market.usd("BNB", scene.now_ms) / Decimal("0.6"))
    if not returned:
        return
    _step(scene, account, REPAID, ("USDT", -paid), "repayAmount")
    _step(scene, account, REPAID, ("BNB", returned), "collateralReturn")
    content = {
        "loanCoin": "USDT", "repayAmount": plain(paid), "collateralCoin": "BNB", "collateralReturn": plain(returned),
        "repayStatus": "REPAID", "repayTime": scene.now_ms,
    }  # fmt: skip
    scene.tell(account, REPAID, content)


def adjust(scene: Scene, account: Account, dice: Dice) -> None:
    """More is pledged, or some of it is released."""
    amount, is_more = _amount(scene, account, dice, "BNB"), dice.chance(60)
    if not amount:
        return
    kind = "addCollateral" if is_more else "removeCollateral"
    _step(scene, account, ADJUSTED, ("BNB", -amount if is_more else amount), kind)
    content = {
        "loanCoin": "USDT", "collateralCoin": "BNB", "direction": "ADDITIONAL" if is_more else "REDUCED",
        "collateralAmount": plain(amount), "preLTV": "0.78", "afterLTV": "0.56", "adjustTime": scene.now_ms,
    }  # fmt: skip
    scene.tell(account, ADJUSTED, content)


def liquidate(scene: Scene, account: Account, dice: Dice) -> None:
    """What was pledged is sold: it had left the spot wallet before, only what is left over comes back."""
    sold, returned = dice.amount("1", "3", 4), dice.amount("0.01", "0.2", 4)
    _step(scene, account, LIQUIDATED, ("BNB", returned), "collateralReturnAfterLiquidation")
    content = {
        "loanCoin": "USDT", "liquidationDebt": plain(floor8(sold * 400)), "collateralCoin": "BNB",
        "liquidationCollateralAmount": plain(sold), "returnCollateralAmount": plain(returned),
        "liquidationFee": plain(floor8(sold / 50)), "liquidationStartingPrice": "680",
        "liquidationStartingTime": scene.now_ms, "status": "Liquidated",
    }  # fmt: skip
    scene.tell(account, LIQUIDATED, content)


def repay_vip(scene: Scene, account: Account, dice: Dice) -> None:
    """A VIP loan is paid back in part."""
    paid = _amount(scene, account, dice, "USDT")
    if not paid:
        return
    scene.move(account, "SPOT", "USDT", -paid, VIP_REPAID)
    content = {
        "loanCoin": "USDT", "repayAmount": plain(paid), "collateralCoin": "BNB,BTC,ETH", "repayStatus": "Repaid",
        "loanDate": str(account.created_ms), "repayTime": str(scene.now_ms),
        "orderId": str(756_783_308_056_935_434 + scene.next_id("vip")),
    }  # fmt: skip
    scene.tell(account, VIP_REPAID, content)


def accrue_vip(scene: Scene, account: Account, dice: Dice) -> None:
    """Interest on a VIP loan: it is owed, nothing moves."""
    content = {
        "loanCoin": "USDT", "principalAmount": "10000", "interestAmount": plain(dice.amount("0.5", "2", 4)),
        "annualInterestRate": "0.001273", "accrualTime": scene.now_ms, "orderId": 756_783_308_056_935_434,
    }  # fmt: skip
    scene.tell(account, VIP_INTEREST, content)
