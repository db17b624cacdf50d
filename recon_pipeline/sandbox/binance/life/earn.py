"""Simple Earn, flexible and locked, and the dollar tokens that earn by being held (BFUSD, RWUSD)."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from functools import partial

from recon_pipeline.sandbox.binance.accounts import Account
from recon_pipeline.sandbox.binance.book import Content, Record
from recon_pipeline.sandbox.binance.chance import Dice
from recon_pipeline.sandbox.binance.life.income import dividend, product_reward
from recon_pipeline.sandbox.binance.life.ledgers import UM_INCOME, income
from recon_pipeline.sandbox.binance.life.scene import Scene
from recon_pipeline.sandbox.binance.moments import DAY_MS, HOUR_MS
from recon_pipeline.sandbox.binance.money import ZERO, floor8, plain, text8

_FLEX, _LOCK = "/sapi/v1/simple-earn/flexible", "/sapi/v1/simple-earn/locked"
FLEX_IN, FLEX_OUT = f"{_FLEX}/history/subscriptionRecord", f"{_FLEX}/history/redemptionRecord"
FLEX_REWARDS, FLEX_COLLATERAL = f"{_FLEX}/history/rewardsRecord", f"{_FLEX}/history/collateralRecord"
LOCK_IN, LOCK_OUT = f"{_LOCK}/history/subscriptionRecord", f"{_LOCK}/history/redemptionRecord"
LOCK_REWARDS, LOCK_POSITION = f"{_LOCK}/history/rewardsRecord", f"{_LOCK}/position"
FLEX_POSITION = f"{_FLEX}/position"
CHAIN = "/sapi/v1/onchain-yields/locked"
CHAIN_IN, CHAIN_OUT = f"{CHAIN}/history/subscriptionRecord", f"{CHAIN}/history/redemptionRecord"
CHAIN_REWARDS, CHAIN_POSITION = f"{CHAIN}/history/rewardsRecord", f"{CHAIN}/position"
SOFT_REWARDS = "/sapi/v1/soft-staking/history/rewardsRecord"
TOKENS = {"bfusd": "BFUSD", "rwusd": "RWUSD"}


def _token_path(name: str, what: str) -> str:
    return f"/sapi/v1/{name}/history/{what}History"


BFUSD_REWARDS, RWUSD_REWARDS = (_token_path(name, "rewards") for name in TOKENS)
_FLEXIBLE_ASSETS = ("USDT", "BTC", "BNB", "BAKE")


@dataclass(frozen=True)
class Shelf:
    """Where locked money lies, and the lists that tell of it."""

    kind: str
    into: str
    out: str
    rewards: str
    position: str
    assets: tuple[str, ...]
    reward_kind: str
    is_text: bool = False
    """On-chain yields state ids and instants of a position as text."""


LOCKED = Shelf("locked", LOCK_IN, LOCK_OUT, LOCK_REWARDS, LOCK_POSITION, ("BNB", "SOL", "AXS"), "Locked")
ON_CHAIN = Shelf(
    "onchain", CHAIN_IN, CHAIN_OUT, CHAIN_REWARDS, CHAIN_POSITION, ("BTC", "SOL"), "On-chain Yields", is_text=True
)


@dataclass
class Position:
    """Money locked for a time."""

    number: int
    asset: str
    amount: Decimal
    since_ms: int
    days: int
    record: Record | None = None


def open_wallet(scene: Scene) -> None:
    """Flexible positions that were there before the world began, and what is held to lock."""
    for account in scene.accounts.values():
        dice = scene.dice.fork("earn holdings", account.email)
        for asset, about in (("USDT", "15000"), ("BTC", "0.4"), ("BNB", "8"), ("BAKE", "3000")):
            amount = floor8(Decimal(about) * dice.between(600, 1400) / 1000)
            _hold(scene, account, "flexible", (asset, amount), "opening")
        scene.move(account, "SPOT", "AXS", dice.amount("200", "400", 2), "opening")


def plan(scene: Scene) -> None:
    """Everything of this kind, for every account."""
    for account in scene.accounts.values():
        scene.often("flexible in", account, 6, partial(subscribe, scene))
        scene.often("flexible out", account, 5, partial(redeem, scene))
        scene.often("flexible bonus", account, 8, partial(bonus, scene), cut="either")
        scene.often("collateral", account, 2, partial(collateral, scene))
        for day in scene.days:
            dice = scene.dice.fork("realtime", account.email, day)
            for number in range(4):
                scene.at(scene.daytime(dice, day), partial(realtime, scene, account, dice.fork(number)))
        scene.often("realtime cut", account, 2, partial(realtime, scene))
        for shelf in (LOCKED, ON_CHAIN):
            scene.often(f"{shelf.kind} in", account, 4, partial(lock, scene, shelf))
        scene.often("soft staking", account, 10, partial(soft_reward, scene), cut="either")
        for name in TOKENS:
            scene.often(f"{name} in", account, 3, partial(mint, scene, name), cut="either")
            scene.often(f"{name} out", account, 3, partial(burn, scene, name), cut="either")
            scene.often(f"{name} reward", account, 4, partial(token_reward, scene, name), cut="either")
    busy = scene.dice.fork("busy-earn").pick(list(scene.accounts.values()))
    for path, deed in ((FLEX_IN, subscribe), (FLEX_OUT, redeem), (FLEX_REWARDS, bonus), (FLEX_COLLATERAL, collateral),
                       (SOFT_REWARDS, soft_reward)):  # fmt: skip
        scene.burst(path, busy, 110, partial(deed, scene))
    for shelf in (LOCKED, ON_CHAIN):
        scene.burst(shelf.into, busy, 130, partial(lock, scene, shelf, is_small=True), is_early=True)
    for name in TOKENS:
        for verb, deed_of in (("in", mint), ("out", burn), ("reward", token_reward)):
            scene.burst(f"{name} {verb}", busy, 110, partial(deed_of, scene, name))


def _hold(scene: Scene, account: Account, kind: str, money: tuple[str, Decimal], reason: str) -> None:
    """Change an Earn position: the wallet's balance, and the shelf it lies on."""
    scene.move(account, "EARN", *money, reason)
    scene.move(account, "EARN", *money, reason, measure=kind)


def _pay_in(scene: Scene, account: Account, dice: Dice, asset: str, *, is_small: bool) -> dict[str, Decimal]:
    """What a subscription takes from the spot and the funding wallet."""
    parts = {"SPOT": dice.part(scene.have(account, "SPOT", asset), 1, 3 if is_small else 40), "FUNDING": ZERO}
    if dice.chance(30):
        parts["FUNDING"] = dice.part(scene.have(account, "FUNDING", asset), 1, 3 if is_small else 60)
        parts["SPOT"] = ZERO if parts["FUNDING"] and dice.chance(40) else parts["SPOT"]
    return parts


def _sources(parts: dict[str, Decimal]) -> Content:
    name = "SPOTANDFUNDING" if all(parts.values()) else "FUNDING" if parts["FUNDING"] else "SPOT"
    return {"sourceAccount": name, "amtFromSpot": plain(parts["SPOT"]), "amtFromFunding": plain(parts["FUNDING"])}


def subscribe(scene: Scene, account: Account, dice: Dice) -> None:
    """Money into a flexible position."""
    asset = dice.pick(_FLEXIBLE_ASSETS)
    parts = _pay_in(scene, account, dice, asset, is_small=False)
    total = sum(parts.values(), ZERO)
    if not total:
        return
    number = scene.next_id("purchase", 26_055)
    for wallet, amount in parts.items():
        scene.move(account, wallet, asset, -amount, f"{FLEX_IN} {number}")
    _hold(scene, account, "flexible", (asset, total), f"{FLEX_IN} {number}")
    content = {
        "amount": text8(total), "asset": asset, "time": scene.now_ms, "purchaseId": number, "productId": f"{asset}001",
        "type": dice.pick(("NORMAL", "AUTO")), **_sources(parts), "status": "SUCCESS",
    }  # fmt: skip
    scene.tell(account, FLEX_IN, content)


def redeem(scene: Scene, account: Account, dice: Dice) -> None:
    """Money out of a flexible position."""
    asset = dice.pick(_FLEXIBLE_ASSETS)
    amount = dice.part(scene.ledger.now(account.email, "EARN", asset, "flexible"), 1, 60)
    if not amount:
        return
    number, wallet = scene.next_id("redeem", 40_607), "FUNDING" if dice.chance(25) else "SPOT"
    scene.move(account, wallet, asset, amount, f"{FLEX_OUT} {number}")
    _hold(scene, account, "flexible", (asset, -amount), f"{FLEX_OUT} {number}")
    content = {
        "amount": text8(amount), "asset": asset, "time": scene.now_ms, "projectId": f"{asset}001", "redeemId": number,
        "destAccount": "FUND" if wallet == "FUNDING" else "SPOT", "status": "PAID",
    }  # fmt: skip
    scene.tell(account, FLEX_OUT, content)


def _reward(scene: Scene, account: Account, asset: str, amount: Decimal, kind: str) -> None:
    content = {
        "asset": asset, "rewards": text8(amount), "projectId": f"{asset}001", "type": kind, "time": scene.now_ms,
    }  # fmt: skip
    scene.tell(account, FLEX_REWARDS, content)


def realtime(scene: Scene, account: Account, dice: Dice) -> None:
    """Interest that accrues to the flexible position itself (or, in a world of that kind, is paid out)."""
    asset = dice.pick(_FLEXIBLE_ASSETS)
    amount = floor8(scene.ledger.now(account.email, "EARN", asset, "flexible") * dice.between(5, 20) / 10_000_000)
    if not amount:
        return
    if scene.doubts["realtime_rewards"] == "position":
        _hold(scene, account, "flexible", (asset, amount), f"{FLEX_REWARDS} REALTIME")
    else:
        scene.move(account, "SPOT", asset, amount, f"{FLEX_REWARDS} REALTIME")
    _reward(scene, account, asset, amount, "REALTIME")


def bonus(scene: Scene, account: Account, dice: Dice) -> None:
    """Interest that is paid into the spot wallet: the dividends tell of it too."""
    asset, kind = dice.pick(_FLEXIBLE_ASSETS), dice.pick(("BONUS", "REWARDS"))
    amount = dice.amount("0.00000100", "0.02")
    dividend(scene, account, asset, amount, "Flexible")
    _reward(scene, account, asset, amount, kind)


def collateral(scene: Scene, account: Account, dice: Dice) -> None:
    """A flexible position pledged, or released: nothing moves."""
    asset = dice.pick(_FLEXIBLE_ASSETS)
    amount = dice.part(scene.ledger.now(account.email, "EARN", asset, "flexible"), 1, 50)
    content = {
        "amount": text8(amount), "productId": f"{asset}001", "asset": asset, "createTime": scene.now_ms,
        "type": dice.pick(("BORROW", "REPAY")), "productName": asset, "orderId": scene.next_id("collateral", 26_055),
    }  # fmt: skip
    scene.tell(account, FLEX_COLLATERAL, content)


def lock(scene: Scene, shelf: Shelf, account: Account, dice: Dice, *, is_small: bool = False) -> None:
    """Money locked: rewards every few days, then returned, early (less a loss) or at the end."""
    asset = dice.pick(shelf.assets)
    parts = _pay_in(scene, account, dice, asset, is_small=is_small)
    total = sum(parts.values(), ZERO)
    if not total:
        return
    number = scene.next_id("position", 123_123)
    for wallet, amount in parts.items():
        scene.move(account, wallet, asset, -amount, f"{shelf.into} {number}")
    _hold(scene, account, shelf.kind, (asset, total), f"{shelf.into} {number}")
    days = dice.pick((5, 10) if is_small else (5, 10, 30))
    content: Content = {
        "positionId": _id(shelf, number), "purchaseId": str(26_055 + number), "projectId": f"{asset}*{days}",
        "time": scene.now_ms, "asset": asset, "amount": plain(total), "lockPeriod": str(days),
        "type": dice.pick(("NORMAL", "AUTO")), **_sources(parts), "status": "SUCCESS",
    }  # fmt: skip
    if shelf.is_text:
        content["clientId"] = f"client-{number}"
    scene.tell(account, shelf.into, content)
    position = Position(number, asset, total, scene.now_ms, days)
    position.record = scene.tell(account, shelf.position, _described(shelf, position))
    _plan_position(scene, shelf, account, dice, position)


def _plan_position(scene: Scene, shelf: Shelf, account: Account, dice: Dice, position: Position) -> None:
    is_early = dice.chance(25)
    held_ms = dice.between(1, position.days) * DAY_MS if is_early else position.days * DAY_MS
    end_ms = daytime_of(dice, position.since_ms + held_ms)
    if dice.chance(20):
        end_ms = end_ms - end_ms % DAY_MS + DAY_MS - dice.between(1, 999)
    first = position.since_ms // DAY_MS * DAY_MS + DAY_MS
    if dice.chance(20) and position.since_ms + 1000 < first < min(end_ms, scene.end_ms):
        scene.at(first - dice.between(1, 999), partial(_locked_reward, scene, shelf, account, position))
    for at_ms in range(first + dice.between(7, 20) * HOUR_MS, min(end_ms, scene.end_ms), 2 * DAY_MS):
        scene.at(at_ms, partial(_locked_reward, scene, shelf, account, position))
    scene.at(end_ms, partial(_unlock, scene, shelf, account, position, is_early=is_early))


def daytime_of(dice: Dice, at_ms: int) -> int:
    """An instant in the daytime of the day of another."""
    return at_ms - at_ms % DAY_MS + dice.between(7 * HOUR_MS, 22 * HOUR_MS)


def _id(shelf: Shelf, number: int) -> int | str:
    return str(number) if shelf.is_text else number


def _described(shelf: Shelf, position: Position) -> Content:
    def instant(ms: int) -> int | str:
        return str(ms) if shelf.is_text else ms

    number, asset, amount = position.number, position.asset, position.amount
    at_ms, days = position.since_ms, position.days
    content: Content = {
        "positionId": _id(shelf, number), "parentPositionId": number, "projectId": f"{asset}*{days}", "asset": asset,
        "amount": text8(amount), "purchaseTime": instant(at_ms), "duration": str(days), "accrualDays": "0",
        "rewardAsset": asset, "APY": "0.0390", "rewardAmt": "0", "nextPay": "0", "payPeriod": "1",
        "nextPayDate": instant(at_ms + DAY_MS), "redeemAmountEarly": text8(amount),
        "rewardsEndDate": instant(at_ms + days * DAY_MS), "deliverDate": instant(at_ms + days * DAY_MS),
        "redeemPeriod": "1", "redeemingAmt": "0", "redeemTo": "SPOT", "canRedeemEarly": True,
        "canFastRedemption": True, "autoSubscribe": False, "type": "NORMAL", "status": "HOLDING", "canReStake": False,
    }  # fmt: skip
    if shelf.is_text:
        for name in ("parentPositionId", "redeemAmountEarly", "redeemPeriod", "canFastRedemption", "canReStake"):
            del content[name]
    return content


def _locked_reward(scene: Scene, shelf: Shelf, account: Account, position: Position) -> None:
    amount = max(floor8(position.amount / 8_000), Decimal("1E-8"))
    dividend(scene, account, position.asset, amount, shelf.reward_kind)
    content: Content = {
        "positionId": _id(shelf, position.number), "time": scene.now_ms, "asset": position.asset,
        "lockPeriod": str(position.days), "amount": text8(amount),
    }  # fmt: skip
    if not shelf.is_text:
        content["type"] = "Locked Rewards"
    scene.tell(account, shelf.rewards, content)


def _unlock(scene: Scene, shelf: Shelf, account: Account, position: Position, *, is_early: bool) -> None:
    """The money comes back; early, what was paid in rewards is kept back."""
    loss = floor8(position.amount / 4_000) if is_early else ZERO
    number = scene.next_id("redeem", 40_607)
    _hold(scene, account, shelf.kind, (position.asset, -position.amount), f"{shelf.out} {number}")
    scene.move(account, "SPOT", position.asset, position.amount - loss, f"{shelf.out} {number}")
    if position.record is not None:
        position.record.change(scene.now_ms * 1000, None)
    content: Content = {
        "positionId": _id(shelf, position.number), "redeemId": number, "time": scene.now_ms, "asset": position.asset,
        "lockPeriod": str(position.days), "amount": plain(position.amount - loss),
        "originalAmount": plain(position.amount),
        "type": "EARLY" if is_early else "MATURE", "lossAmount": plain(loss), "isComplete": True,
        "deliverDate": str(scene.now_ms) if shelf.is_text else scene.now_ms,
        "rewardAsset": position.asset, "rewardAmt": "0", "status": "PAID",
    }  # fmt: skip
    scene.tell(account, shelf.out, content)


def soft_reward(scene: Scene, account: Account, dice: Dice) -> None:
    """A reward for what simply lies in the spot wallet; the dividends tell of it too."""
    asset, amount = dice.pick(("BNB", "SOL")), dice.amount("0.00000100", "0.001")
    dividend(scene, account, asset, amount, "Soft Staking")
    content = {
        "asset": asset, "rewards": plain(amount), "rewardAsset": asset,
        "avgAmount": plain(scene.have(account, "SPOT", asset)), "time": scene.now_ms,
    }  # fmt: skip
    scene.tell(account, SOFT_REWARDS, content)


def mint(scene: Scene, name: str, account: Account, dice: Dice) -> None:
    """Dollars into the token that earns, one for one."""
    asset = "USDT" if name == "bfusd" else "USDC"
    amount = dice.part(scene.have(account, "SPOT", asset), 1, 8)
    if not amount:
        return
    path = _token_path(name, "subscription")
    scene.move(account, "SPOT", asset, -amount, path)
    scene.move(account, "SPOT", TOKENS[name], amount, path)
    content = {
        "time": scene.now_ms, "asset": asset, "amount": plain(amount), "receiveAsset": TOKENS[name],
        "receiveAmount": plain(amount), "status": "SUCCESS",
    }  # fmt: skip
    scene.tell(account, path, content)


def burn(scene: Scene, name: str, account: Account, dice: Dice) -> None:
    """The token back into dollars, less a fee: at once, or days later."""
    asset = "USDT" if name == "bfusd" else "USDC"
    amount = dice.part(scene.have(account, "SPOT", TOKENS[name]), 1, 30)
    if not amount:
        return
    path, fee = _token_path(name, "redemption"), floor8(amount / 1000)
    arrives_ms = scene.now_ms if dice.chance(50) else scene.after(dice, HOUR_MS, 72 * HOUR_MS)
    scene.move(account, "SPOT", TOKENS[name], -amount, path)
    content = {
        "time": scene.now_ms, "asset": TOKENS[name], "amount": plain(amount), "receiveAsset": asset,
        "receiveAmount": plain(amount - fee), "fee": plain(fee), "arrivalTime": arrives_ms,
        "status": "SUCCESS" if arrives_ms == scene.now_ms else "PENDING",
    }  # fmt: skip
    record = scene.tell(account, path, content)
    scene.at(arrives_ms, partial(_arrive, scene, account, record, (asset, amount - fee), path))


def _arrive(scene: Scene, account: Account, record: Record, money: tuple[str, Decimal], path: str) -> None:
    scene.move(account, "SPOT", *money, path)
    if (record.versions[-1][1] or {}).get("status") != "SUCCESS":
        scene.change(record, status="SUCCESS")


def token_reward(scene: Scene, name: str, account: Account, dice: Dice) -> None:
    """What the token earns, paid in the token: to spot, or (BFUSD, in a world of that kind) into USDⓈ-M futures, whose
    income tells of it too."""
    held, path = scene.have(account, "SPOT", TOKENS[name]), _token_path(name, "rewards")
    amount = dice.amount("0.00001000", "0.4")
    if name == "bfusd" and scene.doubts["bfusd_rewards"] == "futures":
        if "futures" not in account.products:
            return
        income(scene, account, UM_INCOME, (TOKENS[name], amount), "BFUSD_REWARD")
    else:
        product_reward(scene, account, TOKENS[name], amount, path)
    content: Content = {"time": scene.now_ms, "rewardsAmount": plain(amount), "annualPercentageRate": "0.0418"}
    if name == "bfusd":
        content |= {"rewardAsset": "BFUSD", "BFUSDPosition": plain(held)}
    else:
        content |= {"rwusdPosition": plain(held)}
    scene.tell(account, path, content)
