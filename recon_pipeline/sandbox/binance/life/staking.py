"""Staked ether and SOL, wrapped ether, and dual investments."""

from __future__ import annotations

from decimal import Decimal
from functools import partial

from recon_pipeline.sandbox.binance.accounts import Account
from recon_pipeline.sandbox.binance.book import Record
from recon_pipeline.sandbox.binance.chance import Dice
from recon_pipeline.sandbox.binance.life.income import product_reward
from recon_pipeline.sandbox.binance.life.scene import Scene
from recon_pipeline.sandbox.binance.moments import DAY_MS, HOUR_MS, SECOND_MS
from recon_pipeline.sandbox.binance.money import floor8, plain

_ETH, _SOL = "/sapi/v1/eth-staking", "/sapi/v1/sol-staking/sol/history"
ETH_IN, ETH_OUT = f"{_ETH}/eth/history/stakingHistory", f"{_ETH}/eth/history/redemptionHistory"
ETH_REWARDS = f"{_ETH}/eth/history/wbethRewardsHistory"
WRAPS, UNWRAPS = f"{_ETH}/wbeth/history/wrapHistory", f"{_ETH}/wbeth/history/unwrapHistory"
SOL_IN, SOL_OUT = f"{_SOL}/stakingHistory", f"{_SOL}/redemptionHistory"
SOL_REWARDS, SOL_BOOST = f"{_SOL}/bnsolRewardsHistory", f"{_SOL}/boostRewardsHistory"
DUAL = "/sapi/v1/dci/product/positions"
_RATIO = Decimal("1.05412345")


def plan(scene: Scene) -> None:
    """Everything of this kind, for every account."""
    for account in scene.accounts.values():
        for coin in ("ETH", "SOL"):
            scene.often(f"stake {coin}", account, 3, partial(stake, scene, coin), cut="either")
            scene.often(f"unstake {coin}", account, 3, partial(unstake, scene, coin), cut="either")
            scene.often(f"accrual {coin}", account, 4, partial(accrual, scene, coin), cut="either")
        scene.often("wrap", account, 2, partial(wrap, scene, True), cut="either")
        scene.often("unwrap", account, 2, partial(wrap, scene, False), cut="either")
        scene.often("boost", account, 3, partial(boost, scene), cut="sharp")
        scene.often("dual", account, 2, partial(dual, scene), cut="either")
    busy = scene.dice.fork("busy-staking").pick(list(scene.accounts.values()))
    for path, deed in (
        (ETH_IN, partial(stake, scene, "ETH")), (SOL_IN, partial(stake, scene, "SOL")),
        (ETH_OUT, partial(unstake, scene, "ETH")), (SOL_OUT, partial(unstake, scene, "SOL")),
        (ETH_REWARDS, partial(accrual, scene, "ETH")), (SOL_REWARDS, partial(accrual, scene, "SOL")),
        (WRAPS, partial(wrap, scene, True)), (UNWRAPS, partial(wrap, scene, False)), (SOL_BOOST, partial(boost, scene)),
        (DUAL, partial(dual, scene)),
    ):  # fmt: skip
        scene.burst(path, busy, 240 if path == SOL_BOOST else 110, deed)


def _ratio_name(coin: str) -> str:
    return "conversionRatio" if coin == "ETH" else "exchangeRate"


def stake(scene: Scene, coin: str, account: Account, dice: Dice) -> None:
    """The coin for its staked token."""
    token, path = {"ETH": ("WBETH", ETH_IN), "SOL": ("BNSOL", SOL_IN)}[coin]
    amount = dice.part(scene.have(account, "SPOT", coin), 1, 8)
    got = floor8(amount / _RATIO)
    if not got:
        return
    scene.move(account, "SPOT", coin, -amount, path)
    scene.move(account, "SPOT", token, got, path)
    content = {
        "time": scene.now_ms, "asset": coin, "amount": plain(amount), "distributeAsset": token,
        "distributeAmount": plain(got), _ratio_name(coin): plain(_RATIO), "status": "SUCCESS",
    }  # fmt: skip
    scene.tell(account, path, content)


def unstake(scene: Scene, coin: str, account: Account, dice: Dice) -> None:
    """The staked token for the coin: gone at once, there days later."""
    token, path, most = {"ETH": ("WBETH", ETH_OUT, 12), "SOL": ("BNSOL", SOL_OUT, 4)}[coin]
    amount = dice.part(scene.have(account, "SPOT", token), 1, 12)
    got = floor8(amount * _RATIO)
    if not amount:
        return
    scene.move(account, "SPOT", token, -amount, path)
    arrives_ms = scene.after(dice, HOUR_MS, most * DAY_MS)
    content = {
        "time": scene.now_ms, "arrivalTime": arrives_ms, "asset": token, "amount": plain(amount),
        "distributeAsset": coin, "distributeAmount": plain(got), _ratio_name(coin): plain(_RATIO), "status": "PENDING",
    }  # fmt: skip
    record = scene.tell(account, path, content)
    scene.at(arrives_ms, partial(_arrive, scene, account, record, (coin, got), path))


def _arrive(scene: Scene, account: Account, record: Record, money: tuple[str, Decimal], path: str) -> None:
    scene.move(account, "SPOT", *money, path)
    scene.change(record, status="SUCCESS")


def accrual(scene: Scene, coin: str, account: Account, dice: Dice) -> None:
    """What the staked token has gained in worth: nothing moves."""
    token, path = {"ETH": ("WBETH", ETH_REWARDS), "SOL": ("BNSOL", SOL_REWARDS)}[coin]
    held = scene.have(account, "SPOT", token)
    content = {
        "time": scene.now_ms, f"amountIn{coin}": plain(floor8(held / 10_000)), "holding": plain(held),
        f"holdingIn{coin}": plain(floor8(held * _RATIO)), "annualPercentageRate": "0.034",
    }  # fmt: skip
    scene.tell(account, path, content)


def wrap(scene: Scene, is_wrap: bool, account: Account, dice: Dice) -> None:
    """BETH into WBETH, or back."""
    source, target = ("BETH", "WBETH") if is_wrap else ("WBETH", "BETH")
    amount = dice.part(scene.have(account, "SPOT", source), 1, 8)
    got = floor8(amount / _RATIO if is_wrap else amount * _RATIO)
    if not got:
        return
    path = WRAPS if is_wrap else UNWRAPS
    scene.move(account, "SPOT", source, -amount, path)
    scene.move(account, "SPOT", target, got, path)
    content = {
        "time": scene.now_ms, "fromAsset": source, "fromAmount": plain(amount), "toAsset": target,
        "toAmount": plain(got), "exchangeRate": plain(_RATIO), "status": "SUCCESS",
    }  # fmt: skip
    scene.tell(account, path, content)


def boost(scene: Scene, account: Account, dice: Dice) -> None:
    """A boost of staked SOL: what was distributed waits until it is claimed. Its time is told in seconds."""
    scene.now_ms -= scene.now_ms % SECOND_MS
    kind, amount = dice.pick(("CLAIM", "DISTRIBUTE")), dice.amount("0.00001000", "0.02")
    if kind == "CLAIM" or scene.doubts["boost_rewards"] == "all":
        product_reward(scene, account, "SOL", amount, SOL_BOOST)
    content = {
        "time": scene.now_ms // 1000, "token": "SOL", "amount": plain(amount),
        "bnsolHolding": plain(scene.have(account, "SPOT", "BNSOL")), "status": "SUCCESS",
    }  # fmt: skip
    scene.tell(account, f"{SOL_BOOST} {kind}", content)


def dual(scene: Scene, account: Account, dice: Dice) -> None:
    """A dual investment that settles after the world has ended: what it pays then, no answer ever states."""
    amount = dice.part(scene.have(account, "SPOT", "USDT"), 1, 4)
    if not amount:
        return
    number = scene.next_id("dual", 10_160_533)
    settles_ms = (scene.end_ms // DAY_MS + 40) * DAY_MS + 8 * HOUR_MS
    scene.move(account, "SPOT", "USDT", -amount, f"{DUAL} {number}")
    content = {
        "id": str(number), "investCoin": "USDT", "exercisedCoin": "BNB", "subscriptionAmount": plain(amount),
        "strikePrice": "330", "duration": 60, "settleDate": settles_ms, "purchaseStatus": "PURCHASE_SUCCESS",
        "apr": "0.0365", "orderId": 7_973_677_530 + number, "purchaseEndTime": settles_ms - DAY_MS,
        "optionType": "PUT", "autoCompoundPlan": "NONE", "subscriptionTime": scene.now_ms,
    }  # fmt: skip
    scene.tell(account, DUAL, content)
