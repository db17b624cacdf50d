"""Streams of loans against collateral, outside margin."""

from __future__ import annotations

from recon_pipeline.transport.endpoints import Endpoint
from recon_pipeline.venues.binance import endpoints as e
from recon_pipeline.venues.binance.streams.shapes import (
    at,
    bare,
    by,
    by_content,
    halves,
    pages,
    span,
    stream,
    under,
    while_in,
)
from recon_pipeline.venues.streams import Stream

_RUNNING = ("Processing", "Pending", "Repaying", "Liquidating")


def _flexible(name: str, endpoint: Endpoint, known: str, *key: str, status: str = "status") -> Stream:
    """No record of a flexible loan has an id: its instant comes first among what names it."""
    return stream(
        name,
        endpoint,
        "flow",
        "SPOT FUNDING EARN",
        known,
        rows=under("rows"),
        key=by_content(*key),
        instant=at(key[0]),
        window=span(180),
        paging=pages(100, "current", "limit"),
        pending=while_in(status, *_RUNNING),
    )


LOANS: tuple[Stream, ...] = (
    stream(
        "loan_income",
        e.LOAN_INCOME,
        "flow",
        "SPOT",
        "asset type amount timestamp tranId",
        rows=bare,
        key=by("tranId", "type", "asset"),
        instant=at("timestamp"),
        window=span(30),
        paging=halves(100),
    ),
    _flexible(
        "flexible_loan_borrows",
        e.FLEXIBLE_LOAN_BORROWS,
        "loanCoin initialLoanAmount collateralCoin initialCollateralAmount borrowTime status",
        "borrowTime",
        "loanCoin",
        "initialLoanAmount",
        "collateralCoin",
    ),
    _flexible(
        "flexible_loan_repayments",
        e.FLEXIBLE_LOAN_REPAYMENTS,
        "loanCoin repayAmount collateralCoin collateralReturn repayStatus repayTime",
        "repayTime",
        "loanCoin",
        "repayAmount",
        "collateralCoin",
        status="repayStatus",
    ),
    _flexible(
        "flexible_loan_adjustments",
        e.FLEXIBLE_LOAN_ADJUSTMENTS,
        "loanCoin collateralCoin direction collateralAmount preLTV afterLTV adjustTime",
        "adjustTime",
        "loanCoin",
        "collateralCoin",
        "direction",
        "collateralAmount",
    ),
    _flexible(
        "flexible_loan_liquidations",
        e.FLEXIBLE_LOAN_LIQUIDATIONS,
        "loanCoin liquidationDebt collateralCoin liquidationCollateralAmount returnCollateralAmount liquidationFee "
        "liquidationStartingPrice liquidationStartingTime status",
        "liquidationStartingTime",
        "loanCoin",
        "collateralCoin",
    ),
    stream(
        "vip_loan_repayments",
        e.VIP_LOAN_REPAYMENTS,
        "flow",
        "SPOT",
        "loanCoin repayAmount collateralCoin repayStatus loanDate repayTime orderId",
        rows=under("rows"),
        key=by("orderId", "repayTime", "repayAmount"),
        instant=at("repayTime"),
        window=span(180),
        paging=pages(100, "current", "limit"),
        pending=while_in("repayStatus", *_RUNNING),
    ),
    stream(
        "vip_loan_interest",
        e.VIP_LOAN_INTEREST,
        "detail",
        "",
        "loanCoin principalAmount interestAmount annualInterestRate accrualTime orderId",
        rows=under("rows"),
        key=by("orderId", "loanCoin", "accrualTime"),
        instant=at("accrualTime"),
        window=span(90),
        paging=pages(100, "current", "limit"),
    ),
    stream(
        "vip_loan_orders",
        e.VIP_LOAN_ORDERS,
        "detail",
        "",
        "orderId loanCoin totalDebt loanRate residualInterest collateralAccountId collateralCoin "
        "totalCollateralValueAfterHaircut lockedCollateralValue currentLTV expirationTime loanDate loanTerm",
        rows=under("rows"),
        key=by("orderId"),
        instant=at("loanDate"),
        paging=pages(100, "current", "limit"),
    ),
)
