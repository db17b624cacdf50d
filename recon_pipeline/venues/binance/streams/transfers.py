"""Streams of own transfers: between wallets of one account, and between the accounts of one family."""

from __future__ import annotations

from collections.abc import Sequence

from recon_pipeline.transport.endpoints import Endpoint
from recon_pipeline.venues.binance import endpoints as e
from recon_pipeline.venues.binance.streams.shapes import (
    Calls,
    at,
    bare,
    by,
    for_each,
    halves,
    is_transfer_under_way,
    pages,
    span,
    stream,
    under,
)
from recon_pipeline.venues.streams import AccountFacts, Call, Content, Stream

PRODUCT_BY_CODE = {
    "MAIN": "spot",
    "FUNDING": "spot",
    "UMFUTURE": "futures",
    "CMFUTURE": "futures_coin",
    "MARGIN": "margin",
    "OPTION": "option",
    "PORTFOLIO_MARGIN": "portfolio_margin",
}
"""What must be opened for a transfer's end to exist, by the end's code in the type of a transfer."""

_PAIRS = (
    ("MAIN", "UMFUTURE"),
    ("MAIN", "CMFUTURE"),
    ("MAIN", "MARGIN"),
    ("MAIN", "FUNDING"),
    ("MAIN", "OPTION"),
    ("MAIN", "PORTFOLIO_MARGIN"),
    ("UMFUTURE", "FUNDING"),
    ("CMFUTURE", "FUNDING"),
    ("MARGIN", "FUNDING"),
    ("FUNDING", "OPTION"),
)
"""The pairs that touch a wallet without a ledger of its own. The others move only between wallets with one."""
_OF_MINERS = ("MAIN_MINING", "MINING_MAIN", "MINING_C2C")
"""Types of old that the venue still tells: what a pool paid before it paid into Funding."""


def wallet_transfer_calls(facts: AccountFacts) -> Sequence[Call]:
    """One call for each type of transfer whose two ends the account has, or had before anybody asked, in both
    directions."""
    products = facts.products.union(facts.extras.get("left_products", ()))
    opened = {code for code, product in PRODUCT_BY_CODE.items() if product in products}
    pairs = [pair for pair in _PAIRS if opened.issuperset(pair)]
    types = [f"{one}_{other}" for a, b in pairs for one, other in ((a, b), (b, a))]
    types += _OF_MINERS if facts.extras.get("mining_users") else ()
    return [{"type": each} for each in types]


def _both_directions(facts: AccountFacts) -> Sequence[Call]:
    """What each account of the family sent and received; every transfer of the family is in it, most of them twice."""
    if not facts.subs:
        return ()
    family = (facts.email, *facts.subs)
    return [{name: email} for email in family for name in ("fromEmail", "toEmail")]


def _by_direction(call: Call, content: Content) -> str:
    """The transfer and the side that was asked: the same transfer is told to the question for either account."""
    name = by("tranId")({}, content)
    return f"{name}:{next(iter(call))}" if call else name


def _unless_main(facts: AccountFacts) -> Sequence[Call]:
    """Of every account that is not known to be a main one: whose sub-account it is, only its main account's key says,
    and that may never have answered. Who is none is refused."""
    return () if facts.subs else ({"type": "1"}, {"type": "2"})


def _moved_symbols(facts: AccountFacts) -> Sequence[Call]:
    """One call for each market of futures that a ledger of the family names."""
    named = [name.partition(":") for name in facts.extras.get("family_symbols", ()) if facts.subs]
    return [{"symbol": symbol} for product, _, symbol in named if product in ("futures", "futures_coin")]


def _futures_of_subs(facts: AccountFacts) -> Sequence[Call]:
    return [{"email": email, "futuresType": kind} for email in facts.subs for kind in ("1", "2")]


def _if_managed(facts: AccountFacts) -> Sequence[Call]:
    """A sub-account that trades for somebody else asks for itself."""
    return ({},) if facts.email in facts.extras.get("managed_accounts", ()) else ()


def _managed(name: str, endpoint: Endpoint, calls: Calls, needs: str, *, by_master: bool) -> Stream:
    """The log of a managed sub-account, as its investor, its trader's master or itself is told."""
    return stream(
        name,
        endpoint,
        "flow",
        "SPOT",
        "fromEmail fromAccountType toEmail toAccountType asset amount scheduledData createTime status tranId",
        rows=under("managerSubTransferHistoryVos"),
        key=by("tranId"),
        instant=at("createTime"),
        calls=calls,
        by_master=by_master,
        window=span(180),
        paging=pages(500, "page", "limit"),
        pending=is_transfer_under_way,
        needs=needs,
    )


TRANSFERS: tuple[Stream, ...] = (
    stream(
        "wallet_transfers",
        e.WALLET_TRANSFERS,
        "flow",
        "SPOT FUNDING PORTFOLIO_MARGIN",
        "asset amount type status tranId timestamp fromSymbol toSymbol",
        rows=under("rows", may_be_absent=True),
        key=by("tranId"),
        instant=at("timestamp"),
        calls=wallet_transfer_calls,
        window=span(30, reach=180),
        paging=pages(100),
        pending=is_transfer_under_way,
    ),
    stream(
        "universal_transfers",
        e.UNIVERSAL_TRANSFERS,
        "flow",
        "SPOT",
        "tranId fromEmail toEmail asset amount createTimeStamp fromAccountType toAccountType status clientTranId "
        "fromSymbol toSymbol",
        rows=under("result"),
        key=_by_direction,
        instant=at("createTimeStamp"),
        calls=_both_directions,
        by_master=True,
        window=span(7, below=True),
        paging=pages(500, "page", "limit"),
        pending=is_transfer_under_way,
    ),
    stream(
        "sub_user_transfers",
        e.SUB_USER_TRANSFERS,
        "flow",
        "SPOT",
        "counterParty email type asset qty fromAccountType toAccountType status tranId time",
        rows=bare,
        key=by("tranId", "type"),
        instant=at("time"),
        calls=_unless_main,
        window=span(30),
        paging=halves(500),
        pending=is_transfer_under_way,
    ),
    stream(
        "sub_transfers",
        e.SUB_TRANSFERS,
        "flow",
        "SPOT",
        "from to asset qty status tranId time",
        rows=bare,
        key=_by_direction,
        instant=at("time"),
        calls=_both_directions,
        by_master=True,
        window=span(30),
        paging=pages(500, "page", "limit", is_size_certain=False),
        pending=is_transfer_under_way,
    ),
    stream(
        "sub_futures_transfers",
        e.SUB_FUTURES_TRANSFERS,
        "detail",
        "",
        "from to asset qty tranId time",
        rows=under("transfers"),
        key=by("email", "futuresType", "tranId"),
        instant=at("time"),
        calls=_futures_of_subs,
        by_master=True,
        window=span(30, reach=30),
        paging=pages(500, "page", "limit"),
    ),
    _managed(
        "managed_transfers",
        e.MANAGED_TRANSFERS,
        for_each("managed_subs", "email", "spot"),
        "managed_subs",
        by_master=True,
    ),
    _managed(
        "managed_trader_transfers",
        e.MANAGED_TRADER_TRANSFERS,
        for_each("managed_trader_subs", "email", "spot"),
        "managed_trader_subs",
        by_master=True,
    ),
    _managed("managed_own_transfers", e.MANAGED_OWN_TRANSFERS, _if_managed, "managed_accounts", by_master=False),
    stream(
        "custody_transfers",
        e.CUSTODY_TRANSFERS,
        "detail",
        "",
        "clientTranId transferType asset amount time",
        rows=under("rows"),
        key=by("clientTranId"),
        instant=at("time"),
        calls=for_each("custody_subs", "email", "spot"),
        needs="custody_subs",
        by_master=True,
        window=span(30),
        paging=pages(100),
    ),
    stream(
        "sub_position_moves",
        e.SUB_POSITION_MOVES,
        "detail",
        "",
        "fromUserEmail toUserEmail productType symbol price quantity positionSide side timeStamp",
        rows=under("futureMovePositionOrderVoList"),
        key=by("symbol", "fromUserEmail", "timeStamp"),
        instant=at("timeStamp"),
        calls=_moved_symbols,
        by_master=True,
        window=span(30, reach=90),
        paging=pages(100, "page", "rows"),
    ),
)
