"""Snapshots that are not what they should be, and an endpoint that is down: a whole wallet's day at a time."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta
from typing import Any

from recon_pipeline.sandbox.binance.chance import Dice
from recon_pipeline.sandbox.binance.life import income
from recon_pipeline.sandbox.binance.moments import HOUR_MS, MINUTE_MS, day_ms
from recon_pipeline.sandbox.binance.money import ZERO
from recon_pipeline.sandbox.binance.planter import Planter
from recon_pipeline.sandbox.binance.plants import Outage, SnapshotFault, run_after


def snapshot_wrong(p: Planter, dice: Dice) -> None:
    """A snapshot that states too much of an asset: a difference that day, and its reverse the next."""
    asset, amount = dice.pick(("USDT", "BTC", "ETH")), dice.amount("0.5", "2", 4)
    account, day = p.claim(dice, "SPOT", (asset,), p.days(), nights=1)
    if _spoil(p, account, day, added={asset: amount}):
        p.expect("snapshot_wrong", (account, "SPOT", asset), day, "variance", amount)
        p.expect("snapshot_wrong", (account, "SPOT", asset), day + timedelta(days=1), "variance", -amount)


def _spoil(p: Planter, account: str, day: date, **how: Any) -> bool:
    """Spoil a spot snapshot, unless it (or its neighbour) is spoiled already."""
    for offset in (-1, 0, 1):
        if (account, "SPOT", day + timedelta(days=offset)) in p.plants.snapshots:
            return False
    p.plants.snapshots[account, "SPOT", day] = SnapshotFault(**how)
    return True


def _free_days(p: Planter, account: str, days: Iterable[date]) -> list[date]:
    """The days on which nothing is planted in an account's spot wallet, nor on the days beside them."""
    busy = p.busy_days(account, "SPOT")
    near = tuple(timedelta(days=shift) for shift in (-2, -1, 0, 1, 2))
    return [day for day in days if not any(day + offset in busy for offset in near)]


def _whole_wallet(p: Planter, dice: Dice, *, before_end: int = 5) -> tuple[str, date]:
    """An account and a day whose whole spot wallet can be claimed, with the day after.

    A day follows that is run and whose snapshot is told: without it nothing would show what was traded.
    """
    for account in p.accounts(dice):
        free = _free_days(p, account, p.days(before_end=before_end))
        if free:
            day = dice.pick(free)
            for asset in p.world.ledger.assets(account, "SPOT"):
                p.take(account, "SPOT", asset, (day + timedelta(days=shift) for shift in (-1, 0, 1)))
            return account, day
    raise LookupError("no day of a spot wallet is left untouched")


def snapshot_stale(p: Planter, dice: Dice) -> None:
    """A snapshot that repeats the day before: everything that moved is off, and off the other way the next day."""
    account, day = _whole_wallet(p, dice)
    _spoil(p, account, day, stale_days=1)
    before, after = p.close(account, "SPOT", day - timedelta(days=1)), p.close(account, "SPOT", day)
    for asset in sorted({*before, *after}):
        off = before.get(asset, ZERO) - after.get(asset, ZERO)
        if off:
            p.expect("snapshot_stale", (account, "SPOT", asset), day, "variance", off)
            p.expect("snapshot_stale", (account, "SPOT", asset), day + timedelta(days=1), "variance", -off)


def snapshot_missing(p: Planter, dice: Dice) -> None:
    """A snapshot that is never published: that day's rows stay open, the next day's reach back over it."""
    account, day = _whole_wallet(p, dice)
    if _spoil(p, account, day, is_hidden=True):
        for asset in p.stated(account, "SPOT", day - timedelta(days=1)):
            p.expect("snapshot_missing", (account, "SPOT", asset), day, "incomplete")


def snapshot_late(p: Planter, dice: Dice) -> None:
    """A snapshot that is published days late, before or after the run of the next day: its rows are open until then."""
    account, day = _whole_wallet(p, dice, before_end=6)
    days_late = dice.fork("days late").pick((2, 3))
    published_ms = day_ms(day + timedelta(days=days_late)) + dice.between(8, 20) * HOUR_MS
    if _spoil(p, account, day, published_ms=published_ms):
        gone_by = run_after(published_ms)
        for asset in p.stated(account, "SPOT", day - timedelta(days=1)):
            p.expect("snapshot_late", (account, "SPOT", asset), day, "incomplete", gone_by_as_of_day=gone_by)


def snapshot_of_wrong_day(p: Planter, dice: Dice) -> None:
    """A snapshot stamped at an hour at which no day ends: it is not believed, and somebody has to look at it."""
    account, day = _whole_wallet(p, dice)
    if _spoil(p, account, day, stamp_ms=day_ms(day) + 15 * HOUR_MS + 59 * MINUTE_MS + 59_000):
        for asset in p.stated(account, "SPOT", day - timedelta(days=1)):
            p.expect("snapshot_of_wrong_day", (account, "SPOT", asset), day, "incomplete")
        p.expect("snapshot_of_wrong_day", (account, "SPOT", "*"), day, "incomplete", kind="review", note="15:59:59")


def endpoint_down(p: Planter, dice: Dice) -> None:
    """For two days one endpoint answers an account with a page of HTML: its spot rows stay open until then."""
    page = b"<html><head><title>Be right back</title></head><body>Maintenance</body></html>"
    _outage(p, dice, "endpoint_down", (income.REBATES, page, "text/html"), seen="HTML")


def endpoint_garbled(p: Planter, dice: Dice) -> None:
    """For two days one endpoint answers an account with JSON that breaks off: its spot rows stay open until then."""
    cut = b'{"rows":[{"id":1637366104,"amount":"10.0000'
    _outage(p, dice, "endpoint_garbled", (income.DIVIDENDS, cut, "application/json;charset=UTF-8"), seen="JSON")


def _outage(p: Planter, dice: Dice, fault: str, told: tuple[str, bytes, str], *, seen: str) -> None:
    """Down from the end of a day until after it is due; the day before it may be open too. Somebody is told what was
    seen in place of an answer."""
    account, day = _whole_wallet(p, dice)
    path, body, content_type = told
    from_us, until_us = (day_ms(day + timedelta(days=days)) * 1000 for days in (1, 3))
    p.plants.outages.append(Outage(account, path, from_us, until_us, body, content_type=content_type))
    held = set(p.held(account, "SPOT", day))  # what came and went again may be unheard of until the rotation
    for when, required in ((day, held), (day - timedelta(days=1), set())):
        for asset in p.rows(account, "SPOT", when):
            p.expect(fault, (account, "SPOT", asset), when, "incomplete", is_required=asset in required,
                     gone_by_as_of_day=day + timedelta(days=3))  # fmt: skip
    p.expect(fault, (account, "SPOT", "*"), day, "incomplete", kind="review", note=seen)
