"""Streams of futures, options and portfolio margin: a ledger for each wallet, and what explains it."""

from __future__ import annotations

from collections.abc import Sequence

from recon_pipeline.transport.endpoints import Endpoint
from recon_pipeline.venues.binance import endpoints as e
from recon_pipeline.venues.binance.streams.shapes import (
    at,
    bare,
    by,
    content_key,
    details_of,
    for_each,
    halves,
    pages,
    span,
    stream,
    under,
    while_in,
)
from recon_pipeline.venues.streams import AccountFacts, Call, Stream

_INCOME = "symbol incomeType income asset info time tranId tradeId"
_FUTURES_TRADE = (
    "buyer commission commissionAsset id maker orderId price qty quoteQty baseQty marginAsset realizedPnl side "
    "positionSide symbol pair time"
)
PM_ASSETS = "portfolio_margin_assets"
"""The extra of AccountFacts that names the assets whose loans are asked for: the venue wants one in each question."""


def _income(
    name: str, endpoint: Endpoint, wallet: str, *, product: str, days: float, reach: float | None = None
) -> Stream:
    """A ledger of futures. The id of a record is unique within its type, so the type is part of the key."""
    return stream(
        name,
        endpoint,
        "flow",
        wallet,
        _INCOME,
        rows=bare,
        key=by("incomeType", "tranId", "asset", or_blank="symbol"),
        instant=at("time"),
        product=product,
        window=span(days, reach=reach),
        paging=pages(1_000, "page", "limit"),
        horizon=3,
    )


FUTURES: tuple[Stream, ...] = (
    _income("futures_income", e.FUTURES_INCOME, "FUTURES", product="futures", days=7, reach=89),
    _income("futures_coin_income", e.FUTURES_COIN_INCOME, "FUTURES_COIN", product="futures_coin", days=360),
    stream(
        "futures_trades",
        e.FUTURES_TRADES,
        "detail",
        "",
        _FUTURES_TRADE,
        rows=bare,
        key=by("symbol", "id", "positionSide"),
        instant=at("time"),
        product="futures",
        calls=details_of("futures"),
        window=span(7, reach=180),
        paging=halves(1_000),
        horizon=7,
    ),
    stream(
        "futures_position_margin",
        e.FUTURES_POSITION_MARGIN,
        "detail",
        "",
        "symbol type deltaType amount asset time positionSide clientTranId",
        rows=bare,
        key=content_key,
        instant=at("time"),
        product="futures",
        calls=details_of("futures"),
        window=span(29, reach=30),
        paging=halves(500),
    ),
    stream(
        "futures_coin_trades",
        e.FUTURES_COIN_TRADES,
        "detail",
        "",
        _FUTURES_TRADE,
        rows=bare,
        key=by("symbol", "id", "positionSide"),
        instant=at("time"),
        product="futures_coin",
        calls=details_of("futures_coin"),
        window=span(7),
        paging=halves(1_000),
        horizon=7,
    ),
)


def _currencies(facts: AccountFacts) -> Sequence[Call]:
    """The venue wants one in each question, and knows USDT alone so far."""
    if "option" not in facts.products:
        return ()
    return [{"currency": currency} for currency in facts.extras.get("option_currencies") or ("USDT",)]


OPTIONS: tuple[Stream, ...] = (
    stream(
        "option_bills",
        e.OPTION_BILLS,
        "flow",
        "OPTION",
        "id asset amount type createDate",
        rows=bare,
        key=by("id"),
        instant=at("createDate"),
        product="option",
        calls=_currencies,
        window=span(30, reach=89),
        paging=halves(1_000),
        horizon=3,
    ),
    stream(
        "option_exercises",
        e.OPTION_EXERCISES,
        "detail",
        "",
        "id currency symbol exercisePrice quantity amount fee createDate priceScale quantityScale optionSide "
        "positionSide quoteAsset markPrice",
        rows=bare,
        key=by("id"),
        instant=at("createDate"),
        product="option",
        window=span(30),
        paging=halves(1_000),
    ),
    stream(
        "option_trades",
        e.OPTION_TRADES,
        "detail",
        "",
        "id tradeId orderId symbol price quantity fee realizedProfit side type liquidity time priceScale "
        "quantityScale optionSide quoteAsset volatility",
        rows=bare,
        key=by("symbol", "tradeId", "orderId"),
        instant=at("time"),
        product="option",
        calls=details_of("option"),
        window=span(7),
        paging=halves(1_000),
        horizon=7,
    ),
)

PORTFOLIO_MARGIN: tuple[Stream, ...] = (
    _income("pm_futures_income", e.PM_UM_INCOME, "PORTFOLIO_MARGIN", product="portfolio_margin", days=7, reach=89),
    _income("pm_futures_coin_income", e.PM_CM_INCOME, "PORTFOLIO_MARGIN", product="portfolio_margin", days=7, reach=89),
    stream(
        "pm_loans",
        e.PM_LOANS,
        "flow",
        "PORTFOLIO_MARGIN",
        "txId asset principal timestamp status",
        rows=under("rows"),
        key=by("txId"),
        instant=at("timestamp"),
        product="portfolio_margin",
        calls=for_each(PM_ASSETS, "asset", "portfolio_margin"),
        window=span(30, reach=180),
        paging=pages(100),
        pending=while_in("status", "PENDING"),
    ),
    stream(
        "pm_repayments",
        e.PM_REPAYMENTS,
        "flow",
        "PORTFOLIO_MARGIN",
        "amount asset interest principal status timestamp txId",
        rows=under("rows"),
        key=by("txId"),
        instant=at("timestamp"),
        product="portfolio_margin",
        calls=for_each(PM_ASSETS, "asset", "portfolio_margin"),
        window=span(30, reach=180),
        paging=pages(100),
        pending=while_in("status", "PENDING"),
    ),
    stream(
        "pm_margin_interest",
        e.PM_MARGIN_INTEREST,
        "flow",
        "PORTFOLIO_MARGIN",
        "txId interestAccuredTime asset rawAsset principal interest interestRate type",
        rows=under("rows"),
        key=by("txId", "interestAccuredTime"),
        instant=at("interestAccuredTime"),
        product="portfolio_margin",
        window=span(30, reach=180),
        paging=pages(100),
    ),
    stream(
        "pm_negative_interest",
        e.PM_NEGATIVE_INTEREST,
        "detail",
        "",
        "asset interest interestAccuredTime interestRate principal",
        rows=bare,
        key=by("asset", "interestAccuredTime"),
        instant=at("interestAccuredTime"),
        product="portfolio_margin",
        window=span(30),
        paging=halves(100, "size"),
    ),
    stream(
        "pm_negative_exchanges",
        e.PM_NEGATIVE_EXCHANGES,
        "detail",
        "",
        "startTime endTime details",
        rows=under("rows"),
        key=by("startTime", "endTime"),
        instant=at("startTime"),
        product="portfolio_margin",
        window=span(89),
    ),
    stream(
        "pm_pro_loans",
        e.PM_PRO_LOANS,
        "detail",
        "",
        "asset amount repayTime",
        rows=under("rows"),
        key=content_key,
        instant=at("repayTime"),
        product="portfolio_margin",
        window=span(180),
        paging=pages(100),
    ),
)

DERIVATIVES: tuple[Stream, ...] = (*FUTURES, *OPTIONS, *PORTFOLIO_MARGIN)
