"""A wallet whose snapshot of a day lists nothing, though no flow emptied it: it is read again before that counts.

Where a second read says nothing else it is believed, its variances stand, and a person is told. Wallets that are
captured are read twice in any case.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date

import pyarrow.compute as pc

from recon_pipeline.stores.reviews import Problem
from recon_pipeline.venues.binance.session import Session
from recon_pipeline.venues.binance.streams import STREAMS
from recon_pipeline.venues.pull import Ledger, Puller
from recon_pipeline.venues.reading import Reading
from recon_pipeline.venues.sources import Residuals
from recon_pipeline.venues.streams import AccountFacts

SNAPSHOTS = {
    wallet: stream
    for stream in STREAMS
    if stream.role == "snapshot" and stream.asked_with == "own"
    for wallet in stream.wallets
}
Emptied = tuple[str, str, date]
"""Account, wallet, day."""


def emptied_wallets(reading: Reading, found: Residuals) -> list[Emptied]:
    """The wallets with a snapshot of a day on which nothing is left of what no flow took away."""
    balances = reading.frames["balances"]
    emptied = []
    for account, wallet, day in sorted(found):
        if wallet not in SNAPSHOTS or not any(residual.amount < 0 for residual in found[account, wallet, day].values()):
            continue
        place = pc.and_(pc.equal(balances["account"], account), pc.equal(balances["wallet"], wallet))
        held = balances.filter(pc.and_(place, pc.equal(balances["date"], day)))["raw_balance"]
        if not pc.any(pc.not_equal(held, 0)).as_py():
            emptied.append((account, wallet, day))
    return emptied


def read_again(session: Session, facts: Mapping[str, AccountFacts], emptied: Sequence[Emptied]) -> None:
    """Ask for their snapshots once more, and say what came of it. What was final before this run stays as it is."""
    ledger = Ledger(session.raw)
    puller = Puller(session.raw, ledger, session.clock.now, session.asked.check)
    for account, wallet, day in emptied:
        stream = SNAPSHOTS[wallet]
        is_settled = day not in session.asked.days and ledger.status(account, stream.name, day) == "final"
        if is_settled or not session.has_key(account):
            continue
        with session.clock.working(), session.told_of(account, stream.name):
            kept = puller.again(stream, facts[account], session.ask_as(account), day)
            is_same = not (kept.new or kept.changed)
            session.tell(_told(account, wallet, day, stream.name, is_same=is_same))


def _told(account: str, wallet: str, day: date, stream: str, *, is_same: bool) -> Problem:
    again = "a second read told nothing else" if is_same else "read again it was told in another way, which counts"
    return Problem(
        "WalletEmptied",
        f"{wallet} of {day} was told as empty, and no flow emptied it; {again}",
        "UNKNOWN",
        place=f"account {account}, {stream}",
        expected="a wallet that holds what its flows leave",
        next_step="look at the wallet on the venue's site; run the day again if it is not empty",
        account=account,
        stream=stream,
        needs_manual_review=True,
    )
