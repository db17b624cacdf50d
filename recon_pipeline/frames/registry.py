"""The registries of the file format: what a flow's `txn_subtype` means, and the usual wallets.

A subtype has one bucket whatever the sign of its amount, so that a reversal nets against what it reverses. The one
exception is `unknown`: it still moves the balance, into transfers_in or transfers_out by its sign, and is reported.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

Bucket = Literal["transfers_in", "transfers_out", "trades_in", "trades_out", "fees"]

BUCKETS: tuple[Bucket, ...] = ("transfers_in", "transfers_out", "trades_in", "trades_out", "fees")
UNKNOWN = "unknown"


@dataclass(frozen=True)
class Subtype:
    """One registered `txn_subtype`: the bucket that it moves (null: by sign) and what it stands for."""

    name: str
    bucket: Bucket | None
    description: str


def _of(bucket: Bucket, **names: str) -> tuple[Subtype, ...]:
    return tuple(Subtype(name, bucket, description) for name, description in names.items())


SUBTYPES: tuple[Subtype, ...] = (
    *_of(
        "transfers_in",
        transfer_in="Any other movement in; what a transfer in is called that states no subtype.",
        deposit="Money or coins that came from outside the venue.",
        internal_deposit="Coins from another customer of the venue, moved off the chain.",
        fiat_deposit="Money that came from a bank or a payment service.",
        internal_in="From another wallet or account of ours at the venue.",
        stp_transfer_in="From the other account of a trade group, in place of a fill between the two.",
        airdrop="Coins given by an issuer or a venue.",
        reward="Staking, mining, referral or loyalty rewards.",
        interest_income="Interest or lending income received.",
        dividend="Dividends and other distributions.",
        loan_in="Borrowed: the loan's counter-entry in the balance.",
        collateral_in="Collateral of a loan that was given back.",
        unstake="Returned from staking or from a product that locks.",
        pay_in="Received from a person or a merchant through the venue's payment service.",
        p2p_in="Bought from a person through the venue's escrow.",
        adjustment_in="A correction in our favour, booked by the venue.",
    ),
    *_of(
        "transfers_out",
        transfer_out="Any other movement out; what a transfer out is called that states no subtype.",
        withdrawal="Money or coins that left the venue, without the fee.",
        fiat_withdrawal="Money that left to a bank or a payment service, without the fee.",
        internal_out="To another wallet or account of ours at the venue.",
        stp_transfer_out="To the other account of a trade group, in place of a fill between the two.",
        loan_repayment="Repaid principal.",
        collateral_out="Given as collateral of a loan.",
        interest_paid="Interest that was paid from the balance.",
        stake="Put into staking or into a product that locks.",
        cloud_mining="Paid for hired hash power, or given back for it.",
        pay_out="Paid to a person or a merchant through the venue's payment service.",
        p2p_out="Sold to a person through the venue's escrow.",
        adjustment_out="A correction against us, booked by the venue.",
        liquidation="Taken by the venue to close a position.",
        tax="Withheld by the venue for a tax authority.",
    ),
    *_of(
        "trades_in",
        buy="The bought leg of a fill; what a trade of positive amount is called that states no subtype.",
        spot_buy="The bought leg of a spot fill.",
        sor_buy="The bought leg of a fill that was routed to another market's book.",
        margin_buy="The bought leg of a margin fill.",
        convert_buy="The bought leg of a conversion.",
        dust_buy="What small remainders were converted into.",
        fiat_buy="The bought leg of a purchase for fiat money.",
        redeem="What a redeemed or unwrapped token gave.",
        stake_buy="The token that was received for staking.",
        unstake_buy="The coin that was received for a staking token.",
        wrap_buy="What wrapping or unwrapping a token gave.",
        mint_buy="The token of yield that was received for a stable coin.",
        burn_buy="What a token of yield was redeemed into.",
        asset_swap_buy="The coin that took the place of another, renamed or redenominated.",
        equity_buy="The bought leg of a trade in shares or in tokens of shares.",
    ),
    *_of(
        "trades_out",
        sell="The sold leg of a fill; what a trade of negative amount is called that states no subtype.",
        spot_sell="The sold leg of a spot fill.",
        sor_sell="The sold leg of a fill that was routed to another market's book.",
        margin_sell="The sold leg of a margin fill.",
        convert_sell="The sold leg of a conversion.",
        dust_sell="A small remainder that was converted.",
        fiat_sell="The sold leg of a sale for fiat money.",
        subscribe="What was given for a wrapped or subscribed token.",
        stake_sell="The coin that was given for a staking token.",
        unstake_sell="The staking token that was given back.",
        wrap_sell="What was given to be wrapped or unwrapped.",
        mint_sell="The stable coin that was given for a token of yield.",
        burn_sell="The token of yield that was redeemed.",
        asset_swap_sell="The coin whose place another took, renamed or redenominated.",
        equity_sell="The sold leg of a trade in shares or in tokens of shares.",
        realized_pnl="Profit or loss that closing a derivative settled in cash.",
        option_premium="Premium paid or received for an option.",
        settlement="Delivery or expiry of a derivative.",
        option_settlement="What the exercise or expiry of an option paid or cost.",
        delivery_settlement="What the delivery of a future paid or cost.",
    ),
    *_of(
        "fees",
        txn_fee="A fee without a more exact name.",
        trade_fee="The fee leg of a fill, in the asset that was charged.",
        maker_fee="The fee of a resting order; a rebate is positive.",
        taker_fee="The fee of an order that took liquidity.",
        convert_fee="The fee of a conversion.",
        dust_fee="The fee of converting small remainders.",
        burn_fee="The fee of redeeming a token of yield at once.",
        equity_fee="The fee of a trade in shares.",
        p2p_fee="What the venue took for a trade between persons.",
        margin_interest="Interest on a margin loan: added to what is owed, or paid at once in another coin.",
        withdrawal_fee="What the venue took for a withdrawal.",
        deposit_fee="What the venue took for a deposit.",
        network_fee="Gas, or what the chain took.",
        funding_fee="Funding of a perpetual, paid or received.",
        liquidation_fee="The fee of a liquidation.",
        insurance_clear="What the insurance fund took, or gave, to clear a liquidated position.",
        custody_fee="Account, custody and service fees.",
        rebate="A fee given back.",
        commission="A commission paid, or received for referred trades.",
    ),
    Subtype(UNKNOWN, None, "What a mapping does not know: by sign into transfers_in or transfers_out, and reported."),
)

BUCKET_BY_SUBTYPE: MappingProxyType[str, Bucket | None] = MappingProxyType({s.name: s.bucket for s in SUBTYPES})
"""The bucket of each registered subtype; null for `unknown`, whose bucket is its sign's."""


@dataclass(frozen=True)
class Wallet:
    """One usual wallet. The registry is open: a statements mapping names its own."""

    name: str
    description: str


WALLETS: tuple[Wallet, ...] = (
    Wallet("SPOT", "What trades settle in at once."),
    Wallet("FUNDING", "Deposits, withdrawals and payments, apart from trading."),
    Wallet("MARGIN", "Cross margin: assets less loans."),
    Wallet("ISOLATED_MARGIN:<symbol>", "Margin set apart for one market."),
    Wallet("FUTURES", "Futures margined in a stable coin."),
    Wallet("FUTURES_COIN", "Futures margined in the coin itself."),
    Wallet("OPTION", "Options."),
    Wallet("EARN", "Savings, staking and other products of yield."),
    Wallet("PORTFOLIO_MARGIN", "One margin account over several products."),
)
