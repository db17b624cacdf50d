"""Products of yield: moves between SPOT, FUNDING and EARN, and tokens that stay assets of SPOT."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

from recon_pipeline.frames.registry import UNKNOWN
from recon_pipeline.venues.binance.mapping import cells
from recon_pipeline.venues.binance.mapping.book import (
    Book,
    Reader,
    each_of,
    first_stated,
    is_one_of,
    is_under_way,
    naming,
)
from recon_pipeline.venues.binance.mapping.cells import Malformed
from recon_pipeline.venues.binance.mapping.conversions import swap
from recon_pipeline.venues.streams import Content, RawRecord

_DONE = ("SUCCESS", "PAID")
_FAILED = ("FAILED", "FAIL", "FAILURE", "CANCELLED", "CANCELED")
_WALLETS = {"SPOT": "SPOT", "FUND": "FUNDING", "FUNDING": "FUNDING"}


def _has_failed(content: Content) -> bool:
    return is_one_of(content, "status", *_FAILED)


def _subtype(book: Book, record: RawRecord, name: str) -> str:
    is_known = is_one_of(record.content, "status", *_DONE)
    return book.known(record, name, is_known=is_known, what=f"status {record.content.get('status')!r} is not known")


# --- between wallets --------------------------------------------------------------------------------------------------


def _move(
    book: Book, record: RawRecord, name: str, *, wallet: str, asset: str, amount: str, at: datetime, other: str
) -> None:
    """One leg of a move into or out of EARN."""
    subtype = _subtype(book, record, "internal_out" if amount[0] == "-" else "internal_in")
    book.transfer(
        record,
        name,
        wallet=wallet,
        asset=asset,
        amount=amount,
        at=at,
        subtype=subtype,
        counter_party=other,
        txn_hash=f"{record.stream}:{name.partition(':')[0]}",
    )


def _other_end(name: str, wallet: str) -> str:
    """The id of the leg that is not the locked money's. Money may go from one product into another: then that leg lies
    in EARN as well."""
    return f"{name}:flexible" if wallet == "EARN" else f"{name}:{wallet.lower()}"


def _subscription(book: Book, record: RawRecord) -> None:
    """What left SPOT and FUNDING is what came into EARN. A renewal that took nothing from either moves nothing."""
    content = record.content
    if is_under_way(record) or _has_failed(content):
        return
    name, asset = cells.name_of(content, "purchaseId"), cells.name_of(content, "asset")
    amount, at = cells.amount(content, "amount"), cells.moment(content, "time")
    parts = {
        "SPOT": cells.optional(content, "amtFromSpot"),
        "FUNDING": cells.optional(content, "amtFromFunding"),
    }
    taken = cells.total(*parts.values())
    if cells.is_zero(taken):
        if all(content.get(name) not in (None, "") for name in ("amtFromSpot", "amtFromFunding")):
            return
        told = _WALLETS.get(str(content.get("sourceAccount") or ""))
        parts = {told or book.place(record, fixed=(f"{name}:earn",)): amount}
        taken = amount
    elif not cells.is_zero(cells.minus(amount, taken)):
        what = f"amount is {amount}, {taken} of which was taken from SPOT and FUNDING"
        if any(content.get(field) in (None, "") for field in ("amtFromSpot", "amtFromFunding")):
            raise Malformed(f"{what}; where the rest came from is not stated")
        book.tell("unknown_value", record, f"{what}; what was taken counts")
    for wallet, part in parts.items():
        out = cells.negative(part)
        _move(book, record, _other_end(name, wallet), wallet=wallet, asset=asset, amount=out, at=at, other="EARN")
    others = " and ".join(wallet for wallet, part in parts.items() if not cells.is_zero(part))
    _move(book, record, f"{name}:earn", wallet="EARN", asset=asset, amount=taken, at=at, other=others)


def _flexible_redemption(book: Book, record: RawRecord) -> None:
    content = record.content
    if is_under_way(record) or _has_failed(content):
        return
    name, asset = cells.name_of(content, "redeemId"), cells.name_of(content, "asset")
    amount, at = cells.amount(content, "amount"), cells.moment(content, "time")
    told = str(content.get("destAccount") or "")
    if told and told not in _WALLETS:
        book.tell("unknown_value", record, f"destAccount {told} is not known")
    wallet = _WALLETS.get(told) or book.place(record, fixed=(f"{name}:earn",))
    out = cells.negative(amount)
    _move(book, record, f"{name}:earn", wallet="EARN", asset=asset, amount=out, at=at, other=wallet)
    _move(book, record, _other_end(name, wallet), wallet=wallet, asset=asset, amount=amount, at=at, other="EARN")


def _locked_redemption(book: Book, record: RawRecord) -> None:
    """Paid on the day of delivery. Rewards that an early redemption takes back are taken in EARN."""
    content = record.content
    if is_under_way(record) or _has_failed(content):
        return
    name, asset = cells.name_of(content, "redeemId"), cells.name_of(content, "asset")
    amount, at = cells.amount(content, "amount"), cells.moment(content, "deliverDate", "time")
    principal = cells.optional(content, "originalAmount")
    kept = "0" if cells.is_zero(principal) else cells.minus(amount, principal)
    wallet = book.place(record, fixed=(f"{name}:earn", f"{name}:rewards"))
    out = cells.negative(amount)
    _move(book, record, f"{name}:earn", wallet="EARN", asset=asset, amount=out, at=at, other=wallet)
    _move(book, record, _other_end(name, wallet), wallet=wallet, asset=asset, amount=amount, at=at, other="EARN")
    book.transfer(record, f"{name}:rewards", wallet="EARN", asset=asset, amount=kept, at=at, subtype="interest_income")


def _flexible_reward(book: Book, record: RawRecord) -> None:
    """Real-time rewards grow the position; bonuses and rewards are paid to SPOT, where the dividends tell of them."""
    content = record.content
    kind = str(content.get("type") or record.call.get("type")).upper()
    if kind in {"BONUS", "REWARDS"}:
        return
    amount = cells.amount(content, "rewards")
    in_position = book.context.assumes("realtime_rewards", "position")
    book.transfer(
        record,
        record.key,
        wallet="EARN" if in_position else "SPOT",
        asset=cells.name_of(content, "asset"),
        amount=amount,
        at=cells.moment(content, "time"),
        subtype=book.known(
            record, "interest_income", is_known=kind == "REALTIME", what=f"the reward {kind} is not known"
        ),
    )


# --- tokens -----------------------------------------------------------------------------------------------------------


def _swap(pays: tuple[str, str, str], got: tuple[str, str, str], arrives: str = "time") -> Callable[..., None]:
    """A token for another: (field of the asset, field of the amount, subtype). What is got comes at `arrives`."""

    def read(book: Book, record: RawRecord) -> None:
        content = record.content
        is_running, has_failed = is_under_way(record), _has_failed(content)
        if (is_running or has_failed) and arrives == "time":
            return
        is_known = is_running or has_failed or is_one_of(content, "status", *_DONE)
        subtypes = (pays[2], got[2])
        if not is_known:
            book.tell("unknown_value", record, f"status {content.get('status')!r} is not known")
            subtypes = (UNKNOWN, UNKNOWN)
        out = (cells.name_of(content, pays[0]), cells.amount(content, pays[1]), subtypes[0])
        back = cost = None
        if not is_running and not has_failed:  # until then what is to come may not be stated
            asset, fee = cells.name_of(content, got[0]), cells.optional(content, "fee")
            received = cells.total(cells.amount(content, got[1]), fee)
            back = (asset, received, subtypes[1], cells.moment(content, arrives, "time"))
            cost = (asset, fee, "burn_fee")
        given = (*out, cells.moment(content, "time"))
        swap(book, record, record.key, wallet="SPOT", given=given, got=back, fee=cost)
        if has_failed:
            _give_back(book, record, given)

    return read


def _give_back(book: Book, record: RawRecord, given: tuple[str, str, str, datetime]) -> None:
    """What was given came back; when, the venue does not state. It is missed until it was read."""
    asset, amount, subtype, left = given
    book.leg(
        record,
        f"{record.key}:from:reversal",
        wallet="SPOT",
        asset=asset,
        amount=amount,
        at=book.came_back(record, left, _has_failed),
        subtype=subtype,
        event=record.key,
    )
    reason = f"{record.stream} {record.key} failed; the venue does not state when it came back"
    gone = cells.negative(amount)
    book.expect(record, wallet="SPOT", asset=asset, amount=gone, reason=reason, has_failed=_has_failed)


_STAKE = _swap(("asset", "amount", "stake_sell"), ("distributeAsset", "distributeAmount", "stake_buy"))
_UNSTAKE = _swap(
    ("asset", "amount", "unstake_sell"), ("distributeAsset", "distributeAmount", "unstake_buy"), "arrivalTime"
)
_WRAP = _swap(("fromAsset", "fromAmount", "wrap_sell"), ("toAsset", "toAmount", "wrap_buy"))
_MINT = _swap(("asset", "amount", "mint_sell"), ("receiveAsset", "receiveAmount", "mint_buy"))
_BURN = _swap(("asset", "amount", "burn_sell"), ("receiveAsset", "receiveAmount", "burn_buy"), "arrivalTime")


def _token_reward(asset_field: str, amount_field: str, asset: str | None = None) -> Callable[..., None]:
    """Paid to SPOT, unless the dividends are taken to tell of it."""

    def read(book: Book, record: RawRecord) -> None:
        content = record.content
        is_not_paid = is_under_way(record) or _has_failed(content)
        if is_not_paid or book.context.assumes("product_rewards", "dividends"):
            return
        told = asset if asset is not None and content.get(asset_field) is None else cells.name_of(content, asset_field)
        book.transfer(
            record,
            record.key,
            wallet="SPOT",
            asset=told,
            amount=cells.amount(content, amount_field),
            at=cells.moment(content, "time"),
            subtype="reward",
        )

    return read


def _boost_reward(book: Book, record: RawRecord) -> None:
    """What is distributed waits to be claimed, and reaches SPOT with the claim."""
    if record.call.get("type") == "DISTRIBUTE" and book.context.assumes("boost_rewards", "claims"):
        return
    _CLAIM(book, record)


def _bfusd_reward(book: Book, record: RawRecord) -> None:
    """What is paid into USDⓈ-M futures is booked from their income, where it is a BFUSD_REWARD."""
    if book.context.assumes("bfusd_rewards", "spot"):
        _PAID_IN_BFUSD(book, record)


_CLAIM = _token_reward("token", "amount")
_PAID_IN_BFUSD = _token_reward("rewardAsset", "rewardsAmount")


# --- dual investment --------------------------------------------------------------------------------------------------


def _was_refunded(content: Content) -> bool:
    return is_one_of(content, "purchaseStatus", "PURCHASE_FAIL", "REFUND_SUCCESS")


def _dual_investment(book: Book, record: RawRecord) -> None:
    """The money leaves SPOT with the subscription. What settlement pays, and in which coin, no response states."""
    content = record.content
    has_failed = _was_refunded(content)
    known = ("PENDING", "PURCHASE_SUCCESS", "SETTLING", "SETTLED", "REFUNDING")
    is_known = has_failed or is_one_of(content, "purchaseStatus", *known)
    what = f"purchaseStatus {content.get('purchaseStatus')!r} is not known"
    subtype = book.known(record, "stake", is_known=is_known, what=what)
    amount, name = cells.amount(content, "subscriptionAmount"), cells.name_of(content, "id")
    asset, left = cells.name_of(content, "investCoin"), cells.moment(content, "subscriptionTime")
    rows = [(f"{record.key}:subscribe", cells.negative(amount), left)]
    if has_failed:
        rows.append((f"{record.key}:subscribe:reversal", amount, book.came_back(record, left, _was_refunded)))
        reason = f"dual investment {name} failed; the venue does not state when it came back"
        gone = cells.negative(amount)
        book.expect(record, wallet="SPOT", asset=asset, amount=gone, reason=reason, has_failed=_was_refunded)
    for suffix, signed, at in rows:
        book.transfer(
            record,
            suffix,
            wallet="SPOT",
            asset=asset,
            amount=signed,
            at=at,
            subtype=subtype,
            counter_party="dual investment",
            txn_hash=cells.note(content, "orderId"),
        )
    if is_one_of(content, "purchaseStatus", "SETTLED"):
        coins = f"{content.get('investCoin')} or {content.get('exercisedCoin')}"
        text = f"dual investment {name} has settled in {coins}; the amount is not stated"
        book.tell("not_stated", record, text, moved="settleDate")


_DELIVERED = first_stated("deliverDate", "time")
_ARRIVED = each_of(first_stated("time"), first_stated("arrivalTime", "time"))
_OF_WRAPS = naming("fromAsset", "toAsset", frame="trades", wallet="SPOT")
_SWAPPED = naming("asset", "distributeAsset", frame="trades", wallet="SPOT")
_MINTED = naming("asset", "receiveAsset", frame="trades", wallet="SPOT")

READERS: Mapping[str, Reader] = {
    "flexible_subscriptions": Reader(_subscription, naming("asset")),
    "locked_subscriptions": Reader(_subscription, naming("asset")),
    "onchain_subscriptions": Reader(_subscription, naming("asset")),
    "flexible_redemptions": Reader(_flexible_redemption, naming("asset")),
    "locked_redemptions": Reader(_locked_redemption, naming("asset"), _DELIVERED),
    "onchain_redemptions": Reader(_locked_redemption, naming("asset"), _DELIVERED),
    "flexible_rewards": Reader(_flexible_reward, naming("asset", wallet="EARN")),
    "bfusd_subscriptions": Reader(_MINT, _MINTED),
    "rwusd_subscriptions": Reader(_MINT, _MINTED),
    "bfusd_redemptions": Reader(_BURN, _MINTED, _ARRIVED, _has_failed),
    "rwusd_redemptions": Reader(_BURN, _MINTED, _ARRIVED, _has_failed),
    "bfusd_rewards": Reader(_bfusd_reward, naming("rewardAsset", wallet="SPOT")),
    "rwusd_rewards": Reader(
        _token_reward("rewardAsset", "rewardsAmount", "RWUSD"), lambda *_: [("transfers", "SPOT", "RWUSD")]
    ),
    "eth_staking": Reader(_STAKE, _SWAPPED),
    "sol_staking": Reader(_STAKE, _SWAPPED),
    "eth_redemptions": Reader(_UNSTAKE, _SWAPPED, _ARRIVED, _has_failed),
    "sol_redemptions": Reader(_UNSTAKE, _SWAPPED, _ARRIVED, _has_failed),
    "eth_wraps": Reader(_WRAP, _OF_WRAPS),
    "eth_unwraps": Reader(_WRAP, _OF_WRAPS),
    "sol_boost_rewards": Reader(_boost_reward, naming("token", wallet="SPOT")),
    "dual_investment": Reader(_dual_investment, naming("investCoin", wallet="SPOT"), has_failed=_was_refunded),
}
