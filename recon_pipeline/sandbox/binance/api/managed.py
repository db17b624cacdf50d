"""What investors, trading teams and managed accounts themselves are told. Facts sheet §4.1, §6.4."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from recon_pipeline.sandbox.binance.accounts import FUND
from recon_pipeline.sandbox.binance.api import refusals
from recon_pipeline.sandbox.binance.api.call import Answer, Call
from recon_pipeline.sandbox.binance.api.listing import Listing
from recon_pipeline.sandbox.binance.api.wallets import snapshots_of
from recon_pipeline.sandbox.binance.book import Content
from recon_pipeline.sandbox.binance.life.managed import INVESTOR, OWN, TRADER, trading_desk

_LOG = Listing(
    "", page="page", size="limit", size_most=500, needs_times=True, longest_days=184,
    envelope=lambda rows, total, call: {"managerSubTransferHistoryVos": rows, "count": total},
)  # fmt: skip


def _find(call: Call, path: str) -> str:
    """The managed account that is asked about: the investor's own, or the one that a sub of the team trades."""
    desk = trading_desk(call.world.accounts)
    known = {INVESTOR: FUND, TRADER: desk.email if desk else None}[path]
    email = call.need("email")
    if email != known:
        raise refusals.Refusal(-4003, "Managed sub-account does not exist.")
    return email


def log(path: str) -> Callable[[Call], Answer]:
    """The transfers of a managed account: all, or (`transfers`) those from it or to it."""

    def answer(call: Call) -> Answer:
        email = call.account.email if path == OWN else _find(call, path)
        for name in ("page", "limit"):
            call.need(name)
        way = (call.one_of("transfers", ("FROM", "TO", "from", "to")) or "").lower()

        def edit(content: Content, _: Call) -> Content | None:
            return content if not way or content[f"{way}Email"] == email else None

        listing = replace(_LOG, edit=edit)
        return listing.answer(call, call.account.email, path if path == OWN else f"{path} {email}")

    return answer


def snapshots(call: Call) -> Answer:
    """`managed-subaccount/accountSnapshot`: the fund's, as its investor is told."""
    _find(call, INVESTOR)
    return snapshots_of(call, call.world.fund)


def info(call: Call) -> Answer:
    """`managed-subaccount/info`: the main account's fund."""
    fund = call.world.fund
    row = {
        "rootUserId": call.account.uid, "managersubUserId": fund.uid, "bindParentUserId": fund.uid + 1,
        "email": fund.email, "insertTimeStamp": fund.created_ms, "bindParentEmail": "team@elsewhere.example",
        "isSubUserEnabled": True, "isUserActive": True, "isMarginEnabled": True, "isFutureEnabled": True,
        "isSignedLVTRiskAgreement": False,
    }  # fmt: skip
    rows = [row] if call.text("email", fund.email) == fund.email and call.number("page", 1) == 1 else []
    return {"total": len(rows), "managerSubUserInfoVoList": rows}
