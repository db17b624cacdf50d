"""Balances: day-end snapshots as they were published, and the wallets as they are now."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal

from recon_pipeline.sandbox.binance.accounts import Account
from recon_pipeline.sandbox.binance.api import refusals
from recon_pipeline.sandbox.binance.api.call import Answer, Call
from recon_pipeline.sandbox.binance.book import Content
from recon_pipeline.sandbox.binance.chance import Dice
from recon_pipeline.sandbox.binance.moments import DAY_MS, day_ms, day_of
from recon_pipeline.sandbox.binance.money import ZERO, floor8, plain, text8
from recon_pipeline.sandbox.binance.plants import SnapshotFault
from recon_pipeline.sandbox.binance.world import World

_LD_NAMES = {"BAKE": "LDBAKET"}
SNAPSHOT_KINDS = {"SPOT": None, "MARGIN": "margin", "FUTURES": "futures"}


def snapshots(call: Call) -> Answer:
    """`/sapi/v1/accountSnapshot`: the days whose snapshots are published, oldest first."""
    return snapshots_of(call, call.account)


def snapshots_of(call: Call, account: Account) -> Answer:
    """The same of any account."""
    kind = call.one_of("type", SNAPSHOT_KINDS) or call.need("type")
    limit = call.number("limit", 7) or 7
    if not 7 <= limit <= 30:
        raise refusals.Refusal(-1130, "Data sent for parameter 'limit' is not valid.")
    start, end = call.moment_ms("startTime"), call.moment_ms("endTime")
    if start is not None and end is not None and not 0 <= end - start < 30 * DAY_MS:
        raise refusals.more_than_hours(30 * 24)
    end = call.now_ms if end is None else end
    start = (end - (7 if call.text("startTime") is None else 30) * DAY_MS) if start is None else start
    start = max(start, call.now_ms - 31 * DAY_MS)
    told = [vo for day in _days(start, end) if (vo := _published(call, account, kind, day)) is not None]
    return {"code": 200, "msg": "", "snapshotVos": [vo for vo in told if start <= vo["updateTime"] <= end][-limit:]}


def _days(start_ms: int, end_ms: int) -> Iterator[date]:
    day, last = day_of(max(start_ms, 0)), day_of(end_ms)
    while day <= last:
        yield day
        day += timedelta(days=1)


def _published(call: Call, account: Account, kind: str, day: date) -> Content | None:
    """The snapshot of a day, if there is one by now."""
    world = call.world
    product = SNAPSHOT_KINDS[kind]
    if product is not None and product not in account.products:
        return None
    fault = world.plants.snapshots.get((account.email, kind, day)) or SnapshotFault()
    is_early = day < world.days[0] - timedelta(days=30) or call.now_ms < world.snapshot_ms(account.email, kind, day)
    if is_early or fault.is_hidden:
        return None
    end_ms = day_ms(day) + DAY_MS
    as_of_us = (end_ms * 1000 - 1) if world.doubts["snapshot_as_of"] == "end_of_day" else (end_ms - 1000) * 1000
    as_of_us -= fault.stale_days * DAY_MS * 1000
    data = {"SPOT": spot_data, "MARGIN": margin_data, "FUTURES": futures_data}[kind](world, account, as_of_us)
    for row in data.get("balances", []):
        row["free"] = text8(Decimal(row["free"]) + fault.added.get(row["asset"], ZERO))
    return {"data": data, "type": kind.lower(), "updateTime": fault.stamp_ms or end_ms - 1000}


def spot_data(world: World, account: Account, at_us: int) -> Content:
    """A spot snapshot: free and locked, and nothing of what is on its way out."""
    rows = [row for row in spot_rows(world, account, at_us) if Decimal(row["free"]) or Decimal(row["locked"])]
    total = sum((_btc(world, row["asset"], Decimal(row["free"]) + Decimal(row["locked"]), at_us) for row in rows), ZERO)
    return {"balances": rows, "totalAssetOfBtc": text8(total)}


def spot_rows(world: World, account: Account, at_us: int) -> Iterator[Content]:
    """The spot wallet by asset, the tokens that stand for flexible Earn positions among them."""
    for asset, amount in world.ledger.at(at_us, account.email, "SPOT").items():
        free, locked = split(world, account, asset, amount, at_us)
        yield {"asset": asset, "free": text8(free), "locked": text8(locked)}
    for asset, amount in flexible(world, account, at_us).items():
        yield {"asset": _LD_NAMES.get(asset, f"LD{asset}"), "free": text8(amount), "locked": text8(ZERO)}


def margin_data(world: World, account: Account, at_us: int) -> Content:
    """A cross margin snapshot: what is there, and what is owed."""
    zero = text8(ZERO)
    return {
        "marginLevel": "2748.02909813", "totalAssetOfBtc": zero, "totalLiabilityOfBtc": zero,
        "totalNetAssetOfBtc": zero, "userAssets": margin_rows(world, account, "MARGIN", at_us),
    }  # fmt: skip


def margin_rows(world: World, account: Account, wallet: str, at_us: int) -> list[Content]:
    """A margin wallet by asset: net is what is there less what is owed."""
    held = world.ledger.at(at_us, account.email, wallet)
    loans = world.ledger.at(at_us, account.email, wallet, "loan")
    owed = world.ledger.at(at_us, account.email, wallet, "interest")
    rows = []
    for asset in sorted({*held, *loans, *owed}):
        amount, loan, interest = (part.get(asset, ZERO) for part in (held, loans, owed))
        if not (amount or loan or interest):
            continue
        free, locked = split(world, account, f"{wallet} {asset}", amount, at_us)
        rows.append({
            "asset": asset, "borrowed": text8(loan), "free": text8(free), "interest": text8(interest),
            "locked": text8(locked), "netAsset": text8(amount - loan - interest),
        })  # fmt: skip
    return rows


def futures_data(world: World, account: Account, at_us: int) -> Content:
    """A futures snapshot: the margin balance counts what is not yet realised."""
    positions = positions_of(world, account, at_us)
    unrealised = sum((Decimal(row["unRealizedProfit"]) for row in positions), ZERO)
    assets = []
    for asset, amount in world.ledger.at(at_us, account.email, "FUTURES").items():
        margin = amount + unrealised if asset == "USDT" else amount
        assets.append({"asset": asset, "marginBalance": text8(margin), "walletBalance": text8(amount)})
    return {"assets": assets, "position": positions}


def positions_of(world: World, account: Account, at_us: int) -> list[Content]:
    """The USDⓈ-M positions, each at its mark."""
    held, entries = (world.ledger.at(at_us, account.email, "FUTURES", name) for name in ("position", "entry"))
    rows = []
    for symbol, quantity in held.items():
        mark = world.market.price(world.market.symbols[symbol], at_us // 1000)
        rows.append({
            "entryPrice": text8(entries[symbol]), "markPrice": text8(mark), "positionAmt": text8(quantity),
            "symbol": symbol, "unRealizedProfit": text8(floor8(quantity * (mark - entries[symbol]))),
        })  # fmt: skip
    return rows


def flexible(world: World, account: Account, at_us: int) -> dict[str, Decimal]:
    """The flexible Earn positions."""
    return {
        asset: amount for asset, amount in world.ledger.at(at_us, account.email, "EARN", "flexible").items() if amount
    }


def split(world: World, account: Account, asset: str, amount: Decimal, at_us: int) -> tuple[Decimal, Decimal]:
    """What of a balance is free, and what is locked in orders that day."""
    dice = Dice(world.seed, "locked", account.email, asset, at_us // (DAY_MS * 1000))
    locked = dice.part(amount, 10, 300) if amount > 0 and dice.chance(25) else ZERO
    return amount - locked, locked


def _btc(world: World, asset: str, amount: Decimal, at_us: int) -> Decimal:
    at_ms = at_us // 1000
    return floor8(amount * world.market.usd(asset, at_ms) / world.market.usd("BTC", at_ms))


def account_now(call: Call) -> Answer:
    """`/api/v3/account`: the spot wallet now."""
    rows = list(spot_rows(call.world, call.account, call.now_us))
    if call.text("omitZeroBalances", "false") == "true":
        rows = [row for row in rows if Decimal(row["free"]) or Decimal(row["locked"])]
    rates = {"maker": "0.00100000", "taker": "0.00100000", "buyer": "0.00000000", "seller": "0.00000000"}
    return {
        "makerCommission": 10, "takerCommission": 10, "buyerCommission": 0, "sellerCommission": 0,
        "commissionRates": rates, "canTrade": True, "canWithdraw": True, "canDeposit": True, "brokered": False,
        "requireSelfTradePrevention": False, "preventSor": False,
        "updateTime": call.world.ledger.changed_us(call.now_us, call.account.email, "SPOT") // 1000,
        "accountType": "SPOT", "balances": rows, "permissions": ["SPOT"], "uid": call.account.uid,
    }  # fmt: skip


def user_assets(call: Call) -> Answer:
    """`/sapi/v3/asset/getUserAsset`: what is positive in the spot wallet, and what is on its way out of it."""
    rows = []
    for row in _held(call, "SPOT", list(spot_rows(call.world, call.account, call.now_us))):
        rows.append({**row, "ipoable": "0"})
    return rows


def funding_assets(call: Call) -> Answer:
    """`/sapi/v1/asset/get-funding-asset`: the funding wallet now."""
    rows = []
    for asset, amount in call.world.ledger.at(call.now_us, call.account.email, "FUNDING").items():
        free, locked = split(call.world, call.account, asset, amount, call.now_us)
        rows.append({"asset": asset, "free": plain(free), "locked": plain(locked)})
    return _held(call, "FUNDING", rows)


def _held(call: Call, wallet: str, rows: list[Content]) -> list[Content]:
    leaving = call.world.ledger.at(call.now_us, call.account.email, wallet, "withdrawing")
    found = []
    for row in rows:
        out = leaving.get(row["asset"], ZERO)
        amount = Decimal(row["free"]) + Decimal(row["locked"])
        is_asked = call.text("asset", row["asset"]) == row["asset"]
        if is_asked and (amount or out):
            found.append({**row, "freeze": "0", "withdrawing": plain(out), "btcValuation": "0"})
    return found
