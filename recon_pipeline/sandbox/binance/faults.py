"""Content that is wrong, planted by name: each changes what is told (or what is so) and notes what must follow."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from recon_pipeline.sandbox.binance import spoiled
from recon_pipeline.sandbox.binance.accounts import MAIN
from recon_pipeline.sandbox.binance.book import Content, Move, Record
from recon_pipeline.sandbox.binance.chance import Dice
from recon_pipeline.sandbox.binance.life import capital, conversion, income, ledgers, spot, staking, transfers
from recon_pipeline.sandbox.binance.moments import DAY_MS, HOUR_MS, day_ms, day_of
from recon_pipeline.sandbox.binance.money import ZERO, plain, text8
from recon_pipeline.sandbox.binance.planter import Kind, Planter
from recon_pipeline.sandbox.binance.plants import Effect, Race
from recon_pipeline.sandbox.binance.wire import number
from recon_pipeline.sandbox.binance.world import World

HORIZON_DAYS = 14
"""How late a changed or added record is still looked for, by default."""


def _moment(text: str) -> int:
    """The instant that a withdrawal's text names."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1000


def _capital_position(content: Content) -> tuple[str, str]:
    return capital.WALLETS[content["walletType"]], str(content["coin"])


def _is_deposit(content: Content) -> bool:
    is_done = content["status"] == capital.SUCCESS
    return is_done and day_of(content["completeTime"]) == day_of(content["insertTime"])


_DEPOSIT = Kind(capital.DEPOSITS, lambda c: int(c["completeTime"]), _capital_position, _is_deposit)
_WITHDRAWAL = Kind(
    capital.WITHDRAWALS, lambda c: _moment(c["applyTime"]), _capital_position,
    lambda c: c["status"] == capital.COMPLETED and bool(c["applyTime"][:10] == c["completeTime"][:10]),
)  # fmt: skip
_TRANSFER = Kind(
    transfers.PATH, lambda c: int(c["timestamp"]), lambda c: ("SPOT", str(c["asset"])),
    lambda c: bool(c["type"] == "MAIN_FUNDING" and c["status"] == "CONFIRMED"),
)  # fmt: skip
_DIVIDEND = Kind(
    income.DIVIDENDS,
    lambda c: int(c["divTime"]),
    lambda c: ("SPOT", str(c["asset"])),
    lambda c: bool(c["direction"] == 1),
)
_DUAL = Kind(staking.DUAL, lambda c: int(c["subscriptionTime"]), lambda c: ("SPOT", "a dual investment"))
_REBATE = Kind(income.REBATES, lambda c: int(c["updateTime"]), lambda c: ("SPOT", str(c["asset"])))


def _total(content: Content) -> Decimal:
    return Decimal(content["amount"]) + Decimal(content["transactionFee"])


def deposit_missing(p: Planter, dice: Dice) -> None:
    """A deposit that the feed never tells of."""
    account, record, content, day = p.find(dice, _DEPOSIT, p.days())
    p.world.archive.remove(account, capital.DEPOSITS, record)
    p.expect("deposit_missing", (account, *_capital_position(content)), day, "variance", Decimal(content["amount"]))


def withdrawal_untold(p: Planter, dice: Dice) -> None:
    """A withdrawal that the feed never tells of."""
    account, record, content, day = p.find(dice, _WITHDRAWAL, p.days())
    p.world.archive.remove(account, capital.WITHDRAWALS, record)
    p.expect("withdrawal_untold", (account, *_capital_position(content)), day, "variance", -_total(content))


def deposit_doubled(p: Planter, dice: Dice) -> None:
    """A deposit that the feed tells of twice, under two ids."""
    account, record, content, day = p.find(dice, _DEPOSIT, p.days())
    _copy(p, account, capital.DEPOSITS, record, id=str(int(content["id"]) + 13))
    p.expect("deposit_doubled", (account, *_capital_position(content)), day, "variance", -Decimal(content["amount"]))


def _copy(p: Planter, account: str, path: str, record: Record, **changes: object) -> Record:
    twin = Record(record.at_ms, record.order + 1)
    for from_us, content in record.versions:
        twin.change(from_us, None if content is None else {**content, **changes})
    return p.world.archive.add(account, path, twin)


def deposit_conflicting(p: Planter, dice: Dice) -> None:
    """A deposit that one read tells of twice with different amounts: neither is believed."""
    account, record, content, day = p.find(dice, _DEPOSIT, p.days())
    _copy(p, account, capital.DEPOSITS, record, amount=plain(Decimal(content["amount"]) * 2))
    position = (account, *_capital_position(content))
    p.expect("deposit_conflicting", position, day, "incomplete")
    p.expect("deposit_conflicting", position, day, "incomplete", kind="quarantine", note=f"id {content['id']}, twice")


def transfer_missing(p: Planter, dice: Dice) -> None:
    """A transfer from spot to funding that is never told: a difference in both wallets."""
    account, record, content, day = p.find(dice, _TRANSFER, p.days())
    if not p.take(account, "FUNDING", content["asset"], (day,)):
        return
    p.world.archive.remove(account, transfers.PATH, record)
    amount = Decimal(content["amount"])
    p.expect("transfer_missing", (account, "SPOT", content["asset"]), day, "variance", -amount)
    p.expect("transfer_missing", (account, "FUNDING", content["asset"]), day, "variance", amount)


def unlisted_spending(p: Planter, dice: Dice) -> None:
    """Money spent with the venue's card: no endpoint tells of it."""
    account, day = p.claim(dice, "SPOT", ("USDT",), p.days())
    amount = -dice.amount("20", "90", 2)
    at_us = (day_ms(day) + 13 * HOUR_MS) * 1000
    p.world.ledger.post(Move(at_us, account, "SPOT", "USDT", amount, "balance", "card"))
    p.expect("unlisted_spending", (account, "SPOT", "USDT"), day, "variance", amount)


def record_changes(p: Planter, dice: Dice) -> None:
    """A withdrawal whose fee is stated too low until days later: a difference until it is corrected."""
    account, record, content, day = p.find(
        dice, _WITHDRAWAL, p.days(before_end=10),
        lambda c: _WITHDRAWAL.is_fit(c) and Decimal(c["transactionFee"]) > 0,
    )  # fmt: skip
    mended_ms = day_ms(day + timedelta(days=dice.between(4, 8))) + dice.between(7, 22) * HOUR_MS
    fee = Decimal(content["transactionFee"])
    wrong = {"transactionFee": plain(fee / 2)}
    record.versions = [(at, None if told is None else {**told, **wrong}) for at, told in record.versions]
    record.change(mended_ms * 1000, content)
    gone_by = p.heard(account, capital.WITHDRAWALS, mended_ms)
    _mended(p, "record_changes", (account, *_capital_position(content)), day, amount=fee / 2 - fee, gone_by=gone_by)


def _mended(
    p: Planter, fault: str, position: tuple[str, str, str], day: date, *, amount: Decimal, gone_by: date
) -> None:
    """A difference until it is mended; the row that replaces it is a restatement."""
    p.expect(fault, position, day, "variance", amount, gone_by_as_of_day=gone_by)
    p.expect(fault, position, day, "matched", ZERO, kind="restatement", from_as_of_day=gone_by)


def _late_dividend(p: Planter, dice: Dice, fault: str, low: int, high: int) -> tuple[Any, ...]:
    account, record, content, day = p.find(dice, _DIVIDEND, p.days(before_end=high + 2))
    told_ms = day_ms(day + timedelta(days=dice.between(low, high))) + dice.between(7, 22) * HOUR_MS
    record.versions = [(told_ms * 1000, content)]
    return (account, "SPOT", content["asset"]), day, Decimal(content["amount"]), told_ms


def dividend_late(p: Planter, dice: Dice) -> None:
    """A dividend that is told days later, within the horizon: the row is restated."""
    position, day, amount, told_ms = _late_dividend(p, dice, "dividend_late", 4, 10)
    _mended(p, "dividend_late", position, day, amount=amount, gone_by=p.heard(position[0], income.DIVIDENDS, told_ms))


def dividend_too_late(p: Planter, dice: Dice) -> None:
    """A dividend that is told beyond the horizon: the difference stays."""
    position, day, amount, _ = _late_dividend(p, dice, "dividend_too_late", HORIZON_DAYS + 4, HORIZON_DAYS + 5)
    p.expect("dividend_too_late", position, day, "variance", amount)


def symbol_purged(p: Planter, dice: Dice) -> None:
    """A symbol that vanishes on the day of its last trade: what was traded since it was last asked cannot be told."""
    traded = _traded(p)
    symbols = p.world.market.symbols.values()
    fresh = [s for s in symbols if s.quote == "TRY" and s.status == "TRADING" and s.name not in traded]
    symbol = dice.pick(fresh)
    account, day = p.claim(dice, "SPOT", (symbol.base, symbol.quote), p.days(from_start=5))
    at_ms = day_ms(day) + 9 * HOUR_MS
    price = p.world.market.price(symbol, at_ms)
    quantity = Decimal(int(2000 / price) or 1)
    for asset, amount in ((symbol.base, quantity), (symbol.quote, -quantity * price)):
        p.world.ledger.post(Move(at_ms * 1000, account, "SPOT", asset, amount, "balance", f"{spot.PATH} {symbol.name}"))
    _tell_trade(p, account, symbol.name, at_ms, (quantity, price))
    p.hold(account, "SPOT", symbol.base, day)
    p.world.market.purged_us[symbol.name] = (day_ms(day) + 15 * HOUR_MS) * 1000
    for asset in (symbol.base, symbol.quote):
        p.expect("symbol_purged", (account, "SPOT", asset), day, "incomplete", note=symbol.name)
    for email in p.world.accounts:
        # where the day has no snapshot, the window of the next one reaches back over it
        last = day + timedelta(days=1) if (email, "SPOT", day) in p.plants.snapshots else day
        busy = _traded_on(p, email)
        for asset in (symbol.base, symbol.quote):
            for earlier in range(10):
                when = last - timedelta(days=earlier)
                # before the day itself a sub-account has nothing to miss while its volumes are none
                is_open = email == MAIN or when >= day or any(when - timedelta(days=n) in busy for n in range(10))
                if is_open and when >= p.world.days[0] and (email, when) != (account, day):
                    p.expect("symbol_purged", (email, "SPOT", asset), when, "incomplete", is_required=False)


def _traded_on(p: Planter, email: str) -> set[date]:
    """The days on which an account traded on the spot market."""
    told = [records for of, name, records in p.world.archive.lists() if of == email and name.startswith(spot.PATH)]
    return {day_of(record.at_ms) for records in told for record in records}


def _traded(p: Planter) -> set[str]:
    """The symbols that anybody traded."""
    return {name.split()[1] for _, name, _ in p.world.archive.lists() if name.startswith(spot.PATH)}


def _tell_trade(p: Planter, account: str, symbol: str, at_ms: int, bought: tuple[Decimal, Decimal]) -> None:
    quantity, price = bought
    content = {
        "symbol": symbol, "id": 10_001, "orderId": 7_100_000_000, "orderListId": -1, "price": text8(price),
        "qty": text8(quantity), "quoteQty": text8(quantity * price), "commission": "0.00000000",
        "commissionAsset": "TRY", "time": at_ms, "isBuyer": True, "isMaker": False, "isBestMatch": True,
    }  # fmt: skip
    record = Record(at_ms, 10_001)
    record.change(at_ms * 1000, content)
    p.world.archive.add(account, f"{spot.PATH} {symbol}", record)


def symbol_halted(p: Planter, dice: Dice) -> None:
    """A symbol that was traded and then stops trading: it goes on answering, and nothing is missing."""
    symbol = p.world.market.symbols[dice.pick(sorted(_traded(p)))]
    p.world.market.symbols[symbol.name] = replace(symbol, status="BREAK")


def capture_race(p: Planter, dice: Dice) -> None:
    """Money that leaves the funding wallet and comes back between two equal reads of it."""
    account, day = p.claim(dice, "FUNDING", ("USDT",), p.days())
    morning_us = day_ms(day + timedelta(days=1)) * 1000
    race = Race(account, "/sapi/v1/asset/get-funding-asset", "FUNDING", "USDT", dice.amount("1", "9", 2), morning_us,
                morning_us + 6 * HOUR_MS * 1000)  # fmt: skip
    p.plants.races.append(race)
    p.expect("capture_race", (account, "FUNDING", "USDT"), day, "incomplete")
    for asset in p.rows(account, "FUNDING", day):
        if asset != "USDT":
            p.expect("capture_race", (account, "FUNDING", asset), day, "incomplete", is_required=False)


def dual_settlement(p: Planter, dice: Dice) -> None:
    """A dual investment that pays out: no answer states how much, so it is not booked."""
    account, record, content, bought = p.find(dice, _DUAL, p.days(before_end=8))
    later = (day for day in p.days() if day > bought and p.take(account, "SPOT", "USDT", (day,)))
    day = next(later, None)
    if day is None:
        raise LookupError("no day is left to settle on")
    amount, at_ms = Decimal(content["subscriptionAmount"]) + dice.amount("0.1", "3", 2), day_ms(day) + 8 * HOUR_MS
    p.world.ledger.post(Move(at_ms * 1000, account, "SPOT", "USDT", amount, "balance", "dual settlement"))
    told = {**content, "settleDate": at_ms, "purchaseEndTime": at_ms - DAY_MS, "duration": 5}
    record.versions = [(from_us, told) for from_us, _ in record.versions]
    record.change(at_ms * 1000, {**told, "purchaseStatus": "SETTLED"})
    p.expect("dual_settlement", (account, "SPOT", "USDT"), day, "variance", amount, note="dual_investment")


def convert_from_funding(p: Planter, dice: Dice) -> None:
    """A convert out of the funding wallet, which its row does not say: attributed once both wallets close by it."""
    wallet_less = (conversion.CONVERTS, income.CLOUD_MINING, "/sapi/v1/fiat/orders 0", "/sapi/v1/fiat/orders 1",
                   "/sapi/v1/fiat/payments 0", "/sapi/v1/fiat/payments 1", conversion.STABLE_CONVERTS)  # fmt: skip
    for account in p.accounts(dice):
        told = [record.at_ms for path in wallet_less for record in p.world.archive.all(account, path)]
        busy = {day_of(at_ms + shift) for at_ms in told for shift in (-DAY_MS, 0, DAY_MS)}
        quiet = [day for day in p.days() if day not in busy]
        for day in dice.some(quiet, len(quiet)):
            held = p.close(account, "FUNDING", day)
            amount = dice.part(held.get("USDT", ZERO), 5, 20)
            positions = [(wallet, asset) for wallet in ("SPOT", "FUNDING") for asset in ("USDT", "BNB")]
            if amount and all(p.take(account, *position, (day,)) for position in positions):
                _convert(p, account, day, amount)
                return


def _convert(p: Planter, account: str, day: date, amount: Decimal) -> None:
    at_ms, order_id = day_ms(day) + 15 * HOUR_MS, 940_708_407_400_000_001
    got = (amount / p.world.market.usd("BNB", at_ms)).quantize(Decimal("1E-8"))
    for asset, change in (("USDT", -amount), ("BNB", got)):
        reason = f"{conversion.CONVERTS} {order_id}"
        p.world.ledger.post(Move(at_ms * 1000, account, "FUNDING", asset, change, "balance", reason))
    content = {
        "quoteId": "f" * 32, "orderId": order_id, "orderStatus": "SUCCESS", "fromAsset": "USDT",
        "fromAmount": plain(amount), "toAsset": "BNB", "toAmount": plain(got), "ratio": "0", "inverseRatio": "0",
        "createTime": at_ms,
    }  # fmt: skip
    record = Record(at_ms, 0)
    record.change(at_ms * 1000, content)
    p.world.archive.add(account, conversion.CONVERTS, record)
    p.expect("convert_from_funding", (account, "FUNDING", "USDT"), day, "matched", ZERO, kind="decision",
             note=f"order {order_id} belongs to FUNDING")  # fmt: skip


def unknown_kind(p: Planter, dice: Dice) -> None:
    """A kind of income that nobody has heard of: it moves the balance all the same, and is reported."""
    account = next(iter(p.world.accounts))
    day = dice.pick(p.days())
    at_ms, amount = day_ms(day) + 16 * HOUR_MS + 7, dice.amount("1", "4", 4)
    content = {"symbol": "", "incomeType": "MOON_LANDING_BONUS", "income": text8(amount), "asset": "USDT", "info": "",
               "time": at_ms, "tranId": 77_000_000_001, "tradeId": ""}  # fmt: skip
    record = Record(at_ms, 0)
    record.change(at_ms * 1000, content)
    p.world.archive.add(account, ledgers.UM_INCOME, record)
    p.world.ledger.post(Move(at_ms * 1000, account, "FUTURES", "USDT", amount, "balance", ledgers.UM_INCOME))
    p.expect(
        "unknown_kind", (account, "FUTURES", "USDT"), day, "matched", ZERO, kind="review", note="MOON_LANDING_BONUS"
    )


def unknown_field(p: Planter, dice: Dice) -> None:
    """A field that nobody has heard of: the record counts, and the field is reported."""
    account, record, content, day = p.find(dice, _REBATE, p.days())
    record.versions = [(from_us, {**(told or {}), "moonPhase": "full"}) for from_us, told in record.versions]
    p.expect(
        "unknown_field", (account, "SPOT", content["asset"]), day, "matched", ZERO, kind="review", note="moonPhase"
    )


def number_for_text(p: Planter, dice: Dice) -> None:
    """An amount that stands as a number where text is documented: whether it was rounded, nobody can say."""
    account, record, content, day = p.find(dice, _REBATE, p.days())
    told = {**content, "amount": number(Decimal(content["amount"]))}
    record.versions = [(from_us, told) for from_us, _ in record.versions]
    position = (account, "SPOT", content["asset"])
    p.expect("number_for_text", position, day, "incomplete")
    p.expect("number_for_text", position, day, "incomplete", kind="quarantine", note="amount")
    p.expect("number_for_text", position, day, "incomplete", kind="review", note="amount")


FAULTS: dict[str, Callable[[Planter, Dice], None]] = {
    plant.__name__: plant
    for plant in (
        spoiled.snapshot_stale, spoiled.snapshot_missing, spoiled.snapshot_late, spoiled.snapshot_of_wrong_day,
        spoiled.endpoint_down, spoiled.endpoint_garbled, spoiled.snapshot_wrong,
        deposit_missing, withdrawal_untold, deposit_doubled, deposit_conflicting, transfer_missing, unlisted_spending,
        record_changes, dividend_late, dividend_too_late, symbol_purged, symbol_halted, capture_race, dual_settlement,
        convert_from_funding, unknown_kind, unknown_field, number_for_text,
    )
}  # fmt: skip
"""By name; those that need a whole wallet's day come first."""


def plant(world: World, names: Collection[str], dice: Dice) -> None:
    """Plant the named faults (a name may be given several times); what finds no place is left out."""
    planter = Planter(world)
    for name in sorted(names, key=list(FAULTS).index):
        count = world.plants.names.count(name)
        world.plants.names.append(name)
        try:
            FAULTS[name](planter, dice.fork(name, count))
        except LookupError:
            world.plants.names.remove(name)
    _settle(world)


def _settle(world: World) -> None:
    """A row that a hole may reach can show either: what is allowed there takes the duty from what was required."""
    allowed = {_row(effect) for effect in world.plants.effects if not effect.is_required and effect.kind == "row"}
    world.plants.effects[:] = [
        replace(effect, is_required=False) if effect.kind == "row" and _row(effect) in allowed else effect
        for effect in world.plants.effects
    ]


def _row(effect: Effect) -> tuple[str, str, str, date]:
    return effect.account, effect.wallet, effect.asset, effect.date
