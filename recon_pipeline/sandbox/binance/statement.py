"""The statement that a user downloads from the venue's site: a full signed ledger, which no endpoint serves."""

from __future__ import annotations

import csv
import io

from recon_pipeline.sandbox.binance.book import Move
from recon_pipeline.sandbox.binance.life import (
    capital,
    conversion,
    derivatives,
    earn,
    fiat,
    income,
    ledgers,
    loans,
    margin,
    orders,
    spot,
    staking,
)
from recon_pipeline.sandbox.binance.moments import utc_text
from recon_pipeline.sandbox.binance.money import plain
from recon_pipeline.sandbox.binance.world import World

HEADER = ("User_ID", "UTC_Time", "Account", "Operation", "Coin", "Change", "Remark")
_ACCOUNTS = {
    "SPOT": "Spot", "FUNDING": "Funding", "MARGIN": "Cross Margin", "FUTURES": "USD-M Futures",
    "FUTURES_COIN": "Coin-M Futures", "OPTION": "Option", "EARN": "Earn", "PORTFOLIO_MARGIN": "Portfolio Margin",
}  # fmt: skip
_OPERATIONS = {
    capital.DEPOSITS: "Deposit", capital.WITHDRAWALS: "Withdraw", spot.PATH: "Transaction Related",
    orders.ALLOCATIONS: "Transaction Related", orders.PREVENTED: "Transaction Related",
    conversion.CONVERTS: "Binance Convert", conversion.STABLE_CONVERTS: "Stablecoins Auto-Conversion",
    conversion.DUST: "Small Assets Exchange BNB", conversion.AUTO_INVEST: "Buy", income.DIVIDENDS: "Distribution",
    income.REBATES: "Commission Rebate", income.PAY: "Send", income.C2C: "P2P Trading",
    earn.FLEX_IN: "Simple Earn Flexible Subscription", earn.FLEX_OUT: "Simple Earn Flexible Redemption",
    earn.FLEX_REWARDS: "Simple Earn Flexible Interest", earn.LOCK_IN: "Simple Earn Locked Subscription",
    earn.LOCK_OUT: "Simple Earn Locked Redemption", staking.ETH_IN: "ETH 2.0 Staking",
    fiat.ORDERS: "Fiat Deposit", fiat.PAYMENTS: "Buy", loans.INCOME: "Crypto Loan",
    margin.INTEREST: "BNB Fee Deduction",
    ledgers.UM_INCOME: "Realized Profit and Loss", ledgers.CM_INCOME: "Realized Profit and Loss",
    ledgers.OPTION_BILL: "Options Settlement", derivatives.PM_LOANS: "Margin Loan",
    derivatives.PM_REPAYS: "Margin Repayment", "card": "Binance Card Spending",
    "transfer": "Transfer Between Main and Funding Wallet",
}  # fmt: skip


def statement(world: World, email: str, now_us: int) -> str:
    """The statement of an account up to an instant, oldest first, as CSV."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(HEADER)
    moves = [move for move in world.ledger.moves if move.account == email and move.at_us <= now_us]
    uid = world.accounts[email].uid
    for move in sorted(moves, key=lambda move: move.at_us):
        if move.measure == "balance" and move.reason != "opening":
            writer.writerow((uid, *_row(move)))
    return out.getvalue()


def _row(move: Move) -> tuple[str, ...]:
    path = move.reason.split()[0]
    wallet = move.wallet.split(":")[0]
    account = _ACCOUNTS.get(wallet, "Isolated Margin")
    remark = "Withdraw fee is included" if path == capital.WITHDRAWALS else ""
    operation = _OPERATIONS.get(path, "Asset - Transfer")
    return utc_text(move.at_us // 1000), account, operation, move.asset, plain(move.amount), remark
