"""The manifest: what is wrong in a world, and everything that must be seen of it, written before anything is asked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from datetime import date
from decimal import Decimal
from typing import Any

from recon_pipeline.sandbox.binance.accounts import MAIN
from recon_pipeline.sandbox.binance.life import (
    capital,
    conversion,
    details,
    earn,
    fiat,
    loans,
    margin,
    staking,
    transfers,
)
from recon_pipeline.sandbox.binance.moments import DAY_MS, day_of
from recon_pipeline.sandbox.binance.world import World

_SNAPSHOT_WALLETS = ("SPOT", "MARGIN", "FUTURES")


def manifest(world: World) -> dict[str, Any]:
    """As /sandbox/manifest and manifest.json have it."""
    return {
        "seed": world.seed,
        "start": world.days[0].isoformat(),
        "days": len(world.days),
        "accounts": list(world.accounts),
        "doubts": dict(world.doubts),
        "doubts_matter": doubts_that_matter(world),
        "faults": sorted(world.plants.names),
        "transport": sorted(world.transport),
        "effects": [effect.told() for effect in world.plants.effects],
    }


def doubts_that_matter(world: World, days: Collection[date] | None = None) -> dict[str, int]:
    """For every doubt, how many records of this world (or of some days of it) would be read wrongly under the other
    assumption. One in the last second of a day, where snapshots do not count that, is left out beside a day that is
    not asked for."""
    late_ms = 999 if world.doubts["snapshot_as_of"] == "as_stamped" else 0

    def is_asked(at_ms: int) -> bool:
        return days is None or (day_of(at_ms) in days and day_of(at_ms + late_ms) in days)

    counts: Counter[str] = Counter(dict.fromkeys(world.doubts, 0))
    for move in world.ledger.moves:
        in_last_second = move.at_us // 1000 % DAY_MS > DAY_MS - 1000
        if not is_asked(move.at_us // 1000):
            continue
        if move.wallet in _SNAPSHOT_WALLETS and in_last_second and move.measure == "balance":
            counts["snapshot_as_of"] += 1
    for _, name, records in world.archive.lists():
        for record in records:
            told = record.at(1 << 62)
            if told is not None and is_asked(record.at_ms):
                counts.update(_doubtful(name, told, late_ms, world.doubts))
    counts["sub_transfer_ids"] = sum(map(is_asked, _told_twice(world)))
    if world.doubts["product_rewards"] == "dividends":
        # whatever their own histories say of them, the dividends count
        counts["boost_rewards"] = counts["bfusd_rewards"] = 0
    return dict(sorted(counts.items()))


def _told_twice(world: World) -> list[int]:
    """The instants at which the list of the old kind tells of universal transfers."""

    def told(path: str, *names: str) -> list[tuple[int, tuple[str, ...]]]:
        records = ((record.at_ms, record.at(1 << 62)) for record in world.archive.all(MAIN, path))
        return [(at_ms, tuple(row[name] for name in names)) for at_ms, row in records if row is not None]

    universal = {move for _, move in told(transfers.UNIVERSAL, "asset", "fromEmail", "toEmail", "amount")}
    return [at_ms for at_ms, move in told(transfers.SPOT_ONLY, "asset", "from", "to", "qty") if move in universal]


def _doubtful(name: str, told: dict[str, Any], late_ms: int, doubts: Mapping[str, str]) -> list[str]:
    """The doubts that one record's meaning hangs on."""
    path = name.split(maxsplit=1)[0]
    if path == capital.DEPOSITS:
        return _doubtful_deposit(told, late_ms)
    if path == staking.SOL_BOOST:
        return ["boost_rewards" if name.endswith("DISTRIBUTE") else "product_rewards"]
    if path == earn.BFUSD_REWARDS:  # the dividends never tell of what futures were paid
        return ["bfusd_rewards"] + ["product_rewards"] * (doubts["bfusd_rewards"] == "spot")
    hangs = {
        capital.WITHDRAWALS: ("withdrawal_debit", _is_done_on_another_day),
        f"{conversion.DUST} SPOT": ("dust_amount", lambda told: bool(Decimal(told["totalServiceChargeAmount"]))),
        earn.FLEX_REWARDS: ("realtime_rewards", lambda told: told["type"] == "REALTIME"),
        fiat.ORDERS: ("fiat_wallet", _is_done),
        fiat.PAYMENTS: ("fiat_wallet", _is_done),
        **dict.fromkeys(loans.FLEXIBLE, ("flexible_loans", lambda _: True)),
        details.ALGO_CHILDREN: ("algo_fills", lambda told: bool(Decimal(told["executedQty"]))),
        margin.INTEREST: ("converted_interest", lambda told: told["type"].endswith("_CONVERTED")),
        earn.RWUSD_REWARDS: ("product_rewards", lambda _: True),
    }
    doubt, is_so = hangs.get(name if path == conversion.DUST else path, ("", lambda _: False))
    return [doubt] * is_so(told)


def _is_done(told: dict[str, Any]) -> bool:
    return told["status"] in ("Successful", "Finished", "Completed")


def _is_done_on_another_day(told: dict[str, Any]) -> bool:
    return "completeTime" in told and told["completeTime"][:10] != told["applyTime"][:10]


def _doubtful_deposit(told: dict[str, Any], late_ms: int) -> list[str]:
    is_over_midnight = told.get("completeTime", 0) // DAY_MS > (told["insertTime"] + late_ms) // DAY_MS
    return ["deposit_credit"] * is_over_midnight + ["status_6_deposits"] * (told["status"] == capital.CREDITED)
