"""What the worlds hold: whatever is told explains whatever is so, every stream occurs, and every doubt can matter."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Container, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, TypeAlias

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recon_pipeline.sandbox.binance import DOUBTS, World, make_world, serve
from recon_pipeline.sandbox.binance.accounts import FUND, MAIN, sub_email
from recon_pipeline.sandbox.binance.counts import NOT_PULLED, STREAMS, events_per_stream, table
from recon_pipeline.sandbox.binance.life import managed
from recon_pipeline.sandbox.binance.life.details import ALGO_CHILDREN
from recon_pipeline.sandbox.binance.life.loans import VIP_ONGOING
from recon_pipeline.sandbox.binance.life.orders import ORDERS
from recon_pipeline.sandbox.binance.life.spot import price_step, quantity_of
from recon_pipeline.sandbox.binance.life.transfers import SPOT_ONLY, UNIVERSAL
from recon_pipeline.sandbox.binance.moments import DAY_MS
from recon_pipeline.sandbox.binance.money import text8
from recon_pipeline.sandbox.binance.world import BUSINESS
from recon_pipeline.venues.binance.endpoints import ENDPOINTS
from recon_pipeline.venues.binance.streams import STREAMS as PULLED
from recon_pipeline_tests.sandbox_client import Asker

Row: TypeAlias = dict[str, Any]
Leg: TypeAlias = tuple[str, str, Any, int]
"""Wallet, asset, signed amount as text, instant."""


@pytest.fixture(scope="module")
def world() -> World:
    return make_world(11)


def spot(asset: str, amount: Any, at_ms: int) -> Leg:
    return ("SPOT", asset, amount, at_ms)


def minus(amount: Any) -> Decimal:
    return -Decimal(amount)


def _seconds(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1000


def _fill(row: Row, symbols: dict[str, tuple[str, str]]) -> list[Leg]:
    base, quote = symbols[row["symbol"]]
    sign = 1 if row["isBuyer"] else -1
    return [
        spot(base, sign * Decimal(row["qty"]), row["time"]),
        spot(quote, -sign * Decimal(row["quoteQty"]), row["time"]),
        spot(row["commissionAsset"], minus(row["commission"]), row["time"]),
    ]


def _deposit(row: Row) -> list[Leg]:
    wallet = "FUNDING" if row["walletType"] else "SPOT"
    return [(wallet, row["coin"], row["amount"], row["completeTime"])] if row["status"] in (1, 6) else []


def _withdrawal(row: Row) -> list[Leg]:
    wallet, total = "FUNDING" if row["walletType"] else "SPOT", Decimal(row["amount"]) + Decimal(row["transactionFee"])
    legs: list[Leg] = [(wallet, row["coin"], -total, _seconds(row["applyTime"]))]
    if row["status"] in (1, 3, 5):
        legs.append((wallet, row["coin"], total, _seconds(row["completeTime"])))
    return legs


def _transfer(row: Row) -> list[Leg]:
    if row["status"] == "FAILED":
        return []
    legs: list[Leg] = []
    for code, wallet in (("MAIN", "SPOT"), ("FUNDING", "FUNDING"), ("PORTFOLIO_MARGIN", "PORTFOLIO_MARGIN")):
        if row["type"].startswith(f"{code}_"):
            legs.append((wallet, row["asset"], minus(row["amount"]), row["timestamp"]))
        if row["type"].endswith(f"_{code}"):
            legs.append((wallet, row["asset"], row["amount"], row["timestamp"]))
    return legs


def _pay(row: Row) -> list[Leg]:
    sign = -1 if row["amount"].startswith("-") else 1
    wallets = {"1": "FUNDING", "2": "SPOT"}
    return [
        (wallets[code], detail["currency"], sign * Decimal(part), row["transactionTime"])
        for detail in row["fundsDetail"]
        for code, part in detail["walletAssetCost"].items()
    ]


def _c2c(row: Row) -> list[Leg]:
    if row["orderStatus"] != "COMPLETED":
        return []
    sign, fee = 1 if row["tradeType"] == "BUY" else -1, Decimal(row["commission"]) + Decimal(row["takerCommission"])
    return [("FUNDING", row["asset"], sign * Decimal(row["amount"]) - fee, row["createTime"])]


def _dust(row: Row) -> list[Leg]:
    legs = []
    for part in row["userAssetDribbletDetails"]:
        net = Decimal(part["transferedAmount"]) - Decimal(part["serviceChargeAmount"])
        legs += [spot(part["fromAsset"], minus(part["amount"]), part["operateTime"])]
        legs += [spot(part["targetAsset"], net, part["operateTime"])]
    return legs


def _swap(row: Row, source: tuple[str, str], target: tuple[str, str], at: str, arrives: str = "") -> list[Leg]:
    return [
        spot(row[source[0]], minus(row[source[1]]), row[at]),
        spot(row[target[0]], row[target[1]], row[arrives or at]),
    ]


def _subscribed(row: Row) -> list[Leg]:
    return [
        spot(row["asset"], minus(row["amtFromSpot"]), row["time"]),
        ("FUNDING", row["asset"], minus(row["amtFromFunding"]), row["time"]),
        ("EARN", row["asset"], row["amount"], row["time"]),
    ]


def _redeemed(row: Row) -> list[Leg]:
    wallet = "FUNDING" if row["destAccount"] == "FUND" else "SPOT"
    earned: list[Leg] = [("EARN", row["asset"], minus(row["amount"]), row["time"])]
    return [*earned, (wallet, row["asset"], row["amount"], row["time"])]


def _unlocked(row: Row) -> list[Leg]:
    earned: list[Leg] = [("EARN", row["asset"], minus(row["originalAmount"]), row["time"])]
    return [*earned, spot(row["asset"], row["amount"], int(row["deliverDate"]))]


def _fiat_order(row: Row, is_in: bool) -> list[Leg]:
    is_done, total = row["status"] in ("Successful", "Finished"), Decimal(row["amount"]) + Decimal(row["totalFee"])
    if is_in:
        return [spot(row["fiatCurrency"], row["amount"], row["updateTime"])] if is_done else []
    legs = [spot(row["fiatCurrency"], -total, row["createTime"])]
    return legs if is_done else [*legs, spot(row["fiatCurrency"], total, row["updateTime"])]


def _payment(row: Row, is_buy: bool) -> list[Leg]:
    if row["status"] != "Completed":
        return []
    sign = 1 if is_buy else -1
    legs = [spot(row["cryptoCurrency"], sign * Decimal(row["obtainAmount"]), row["createTime"])]
    if not is_buy or row["paymentMethod"] == "Cash Balance":
        fee = Decimal(0) if is_buy else Decimal(row["totalFee"])
        legs.append(spot(row["fiatCurrency"], -sign * Decimal(row["sourceAmount"]) - fee, row["createTime"]))
    return legs


def _loan_step(row: Row) -> list[Leg]:
    is_in = row["type"] in ("borrowIn", "collateralReturn", "removeCollateral", "collateralReturnAfterLiquidation")
    return [spot(row["asset"], row["amount"] if is_in else minus(row["amount"]), row["timestamp"])]


def _prediction(row: Row) -> list[Leg]:
    if row["status"] != "SUCCESS":
        return []
    is_out = row["direction"] == "OUTBOUND"
    at = datetime.fromisoformat(row["createTime" if is_out else "completeAt"])
    return [spot(row["fromToken"], (-1 if is_out else 1) * Decimal(row["toTokenAmount"]), round(at.timestamp() * 1000))]


def _sub(path: str) -> str:
    return f"/sapi/v1/sub-account/{path}"


LEGS: dict[str, Callable[[Row], list[Leg]]] = {
    "/sapi/v1/capital/deposit/hisrec": _deposit,
    "/sapi/v1/capital/withdraw/history": _withdrawal,
    "/sapi/v1/asset/transfer": _transfer,
    "/sapi/v1/asset/assetDividend": lambda r: [
        spot(r["asset"], (1 if r["direction"] == 1 else -1) * Decimal(r["amount"]), r["divTime"])
    ],
    "/sapi/v1/rebate/taxQuery": lambda r: [spot(r["asset"], r["amount"], r["updateTime"])],
    "/sapi/v1/asset/ledger-transfer/cloud-mining/queryByPage": lambda r: [
        spot(r["asset"], (-1 if r["type"] == 248 else 1) * Decimal(r["amount"]), r["createTime"])
    ],
    "/sapi/v1/pay/transactions": _pay,
    "/sapi/v1/c2c/orderMatch/listUserOrderHistory": _c2c,
    "/sapi/v1/convert/tradeFlow": lambda r: (
        _swap(r, ("fromAsset", "fromAmount"), ("toAsset", "toAmount"), "createTime")
        if r["orderStatus"] == "SUCCESS"
        else []
    ),
    "/sapi/v1/asset/convert-transfer/queryByPage": lambda r: _swap(
        r, ("deductedAsset", "deductedAmount"), ("targetAsset", "targetAmount"), "time"
    ),
    "/sapi/v1/asset/dribblet SPOT": _dust,
    "/sapi/v1/lending/auto-invest/history/list": lambda r: [
        *_swap(r, ("sourceAsset", "sourceAssetAmount"), ("targetAsset", "targetAssetAmount"), "transactionDateTime"),
        spot(r["transactionFeeUnit"], minus(r["transactionFee"]), r["transactionDateTime"]),
    ],
    "/sapi/v1/equity/order/history": lambda r: [
        spot(
            r["quote"],
            (-1 if r["side"] == "BUY" else 1) * Decimal(r["filledTotal"]) - Decimal(r["fee"]),
            r["createdAt"],
        )
    ],
    "/sapi/v1/equity/tokenized/history": lambda r: [
        spot(
            r["tokenizedAsset"],
            (1 if r["convertType"] == "MINT" else -1) * Decimal(r["tokenizedAssetAmount"]),
            r["createdAt"],
        )
    ],
    "/sapi/v1/simple-earn/flexible/history/subscriptionRecord": _subscribed,
    "/sapi/v1/simple-earn/flexible/history/redemptionRecord": _redeemed,
    "/sapi/v1/simple-earn/flexible/history/rewardsRecord": lambda r: (
        [("EARN", r["asset"], r["rewards"], r["time"])] if r["type"] == "REALTIME" else []
    ),
    "/sapi/v1/simple-earn/locked/history/subscriptionRecord": _subscribed,
    "/sapi/v1/onchain-yields/locked/history/subscriptionRecord": _subscribed,
    "/sapi/v1/simple-earn/locked/history/redemptionRecord": _unlocked,
    "/sapi/v1/onchain-yields/locked/history/redemptionRecord": _unlocked,
    "/sapi/v1/sol-staking/sol/history/boostRewardsHistory CLAIM": lambda r: [
        spot(r["token"], r["amount"], r["time"] * 1000)
    ],
    "/sapi/v1/dci/product/positions": lambda r: [
        spot(r["investCoin"], minus(r["subscriptionAmount"]), r["subscriptionTime"])
    ],
    "/sapi/v1/fiat/orders 0": lambda r: _fiat_order(r, True),
    "/sapi/v1/fiat/orders 1": lambda r: _fiat_order(r, False),
    "/sapi/v1/fiat/payments 0": lambda r: _payment(r, True),
    "/sapi/v1/fiat/payments 1": lambda r: _payment(r, False),
    "/sapi/v1/loan/income": _loan_step,
    "/sapi/v2/loan/flexible/borrow/history": lambda r: [
        spot(r["loanCoin"], r["initialLoanAmount"], r["borrowTime"]),
        spot(r["collateralCoin"], minus(r["initialCollateralAmount"]), r["borrowTime"]),
    ],
    "/sapi/v2/loan/flexible/repay/history": lambda r: [
        spot(r["loanCoin"], minus(r["repayAmount"]), r["repayTime"]),
        spot(r["collateralCoin"], r["collateralReturn"], r["repayTime"]),
    ],
    "/sapi/v2/loan/flexible/ltv/adjustment/history": lambda r: [
        spot(
            r["collateralCoin"],
            (-1 if r["direction"] == "ADDITIONAL" else 1) * Decimal(r["collateralAmount"]),
            r["adjustTime"],
        )
    ],
    "/sapi/v2/loan/flexible/liquidation/history": lambda r: [
        spot(r["collateralCoin"], r["returnCollateralAmount"], r["liquidationStartingTime"])
    ],
    "/sapi/v1/loan/vip/repay/history": lambda r: [spot(r["loanCoin"], minus(r["repayAmount"]), int(r["repayTime"]))],
    "/fapi/v1/income": lambda r: [("FUTURES", r["asset"], r["income"], r["time"])],
    "/dapi/v1/income": lambda r: [("FUTURES_COIN", r["asset"], r["income"], r["time"])],
    "/papi/v1/um/income": lambda r: [("PORTFOLIO_MARGIN", r["asset"], r["income"], r["time"])],
    "/papi/v1/cm/income": lambda r: [("PORTFOLIO_MARGIN", r["asset"], r["income"], r["time"])],
    "/papi/v1/margin/marginLoan": lambda r: [("PORTFOLIO_MARGIN", r["asset"], r["principal"], r["timestamp"])],
    "/papi/v1/margin/repayLoan": lambda r: [("PORTFOLIO_MARGIN", r["asset"], minus(r["amount"]), r["timestamp"])],
    "/sapi/v1/margin/interestHistory": lambda r: (
        [("MARGIN", r["asset"], minus(r["interest"]), r["interestAccuredTime"])] if "CONVERTED" in r["type"] else []
    ),
    "/sapi/v1/w3w/wallet/prediction/transfer/list": _prediction,
    "/eapi/v1/bill": lambda r: [("OPTION", r["asset"], r["amount"], r["createDate"])],
}
for _name, _token in (("bfusd", "BFUSD"), ("rwusd", "RWUSD")):
    _path = f"/sapi/v1/{_name}/history"
    LEGS[f"{_path}/subscriptionHistory"] = lambda r: _swap(
        r, ("asset", "amount"), ("receiveAsset", "receiveAmount"), "time"
    )
    LEGS[f"{_path}/redemptionHistory"] = lambda r: _swap(
        r, ("asset", "amount"), ("receiveAsset", "receiveAmount"), "time", "arrivalTime"
    )
    LEGS[f"{_path}/rewardsHistory"] = lambda r, token=_token: [spot(token, r["rewardsAmount"], r["time"])]  # type: ignore[misc]
for _path, _later in (
    ("/sapi/v1/eth-staking/eth/history/stakingHistory", ""),
    ("/sapi/v1/sol-staking/sol/history/stakingHistory", ""),
    ("/sapi/v1/eth-staking/eth/history/redemptionHistory", "arrivalTime"),
    ("/sapi/v1/sol-staking/sol/history/redemptionHistory", "arrivalTime"),
):
    LEGS[_path] = lambda r, later=_later: _swap(  # type: ignore[misc]
        r, ("asset", "amount"), ("distributeAsset", "distributeAmount"), "time", later
    )
for _path in ("wrap", "unwrap"):
    LEGS[f"/sapi/v1/eth-staking/wbeth/history/{_path}History"] = lambda r: _swap(
        r, ("fromAsset", "fromAmount"), ("toAsset", "toAmount"), "time"
    )
for _path in ("list", "other", "uid"):
    LEGS[f"/sapi/v1/mining/payment/{_path}"] = lambda r: (
        [("FUNDING", r["coinName"], str(r.get("profitAmount", r.get("amount"))).removeprefix("\x00#"), r["time"])]
        if r.get("status", 2) == 2
        else []
    )


def told_legs(world: World) -> Iterator[tuple[str, Leg]]:
    """Every leg that the lists tell of, each list read as the facts sheet says."""
    symbols = {symbol.name: (symbol.base, symbol.quote) for symbol in world.market.symbols.values()}
    for account, name, records in world.archive.lists():
        path = name.split()[0]
        for record in records:
            row = record.at(1 << 62)
            if row is None:
                continue
            if path in ("/api/v3/myTrades", "/api/v3/myAllocations"):
                legs = _fill(row, symbols)
            elif path == "/sapi/v1/margin/capital-flow":
                wallet = f"ISOLATED_MARGIN:{name.split()[1]}" if " " in name else "MARGIN"
                legs = [(wallet, row["asset"], row["amount"], row["timestamp"])]
            else:
                read = LEGS.get(name) or LEGS.get(path)
                legs = read(row) if read else []
            yield from ((account, leg) for leg in legs)
    yield from _own_transfers(world)


def _own_transfers(world: World) -> Iterator[tuple[str, Leg]]:
    """Transfers between the accounts, by tranId once; only the wallets that keep no ledger of their own."""
    seen = set()
    for record in world.archive.all(MAIN, _sub("universalTransfer")):
        row = record.at(1 << 62) or {}
        seen.add(row["tranId"])
        if row["status"] == "SUCCESS":
            amount, at_ms = Decimal(row["amount"]), row["createTimeStamp"]
            for email, kind, sign in (
                (row["fromEmail"], row["fromAccountType"], -1),
                (row["toEmail"], row["toAccountType"], 1),
            ):
                if kind == "SPOT":
                    yield email, spot(row["asset"], sign * amount, at_ms)
    for record in world.archive.all(MAIN, _sub("sub/transfer/history")):
        row = record.at(1 << 62) or {}
        if row["tranId"] not in seen:
            for email, sign in ((row["from"], -1), (row["to"], 1)):
                yield email, spot(row["asset"], sign * Decimal(row["qty"]), row["time"])
    yield from _of_isolated_margin(world, seen)
    for email, name in ((MAIN, f"{managed.INVESTOR} {FUND}"), (sub_email(1), managed.OWN)):
        for record in world.archive.all(email, name):
            row = record.at(1 << 62) or {}
            for side, sign in (("from", -1), ("to", 1)):
                if row["status"] == "SUCCESS" and row[f"{side}Email"] != managed.STRANGER:
                    yield row[f"{side}Email"], spot(row["asset"], sign * Decimal(row["amount"]), row["createTime"])


def _of_isolated_margin(world: World, told_by_main: Container[int]) -> Iterator[tuple[str, Leg]]:
    """Transfers between SPOT and isolated margin that nobody made but the account: its margin list alone tells."""
    for email in world.accounts:
        for record in world.archive.all(email, "/sapi/v1/margin/transfer"):
            row = record.at(1 << 62) or {}
            is_own = {row["transFrom"], row["transTo"]} == {"SPOT", "ISOLATED_MARGIN"}
            if is_own and row["txId"] not in told_by_main:
                amount = Decimal(row["amount"]) * (-1 if row["transFrom"] == "SPOT" else 1)
                yield email, spot(row["asset"], amount, row["timestamp"] * 1000)


def prevented_legs(world: World) -> Iterator[tuple[str, Leg]]:
    """Self-trades turned into transfers: the side is the order's."""
    for account in (MAIN, sub_email(1)):
        rows = [record.at(1 << 62) or {} for record in world.archive.all(account, "/api/v3/allOrders ETHUSDT")]
        for record in world.archive.all(account, "/api/v3/myPreventedMatches ETHUSDT"):
            match = record.at(1 << 62) or {}
            [side] = [row["side"] for row in rows if row["preventedMatchId"] == match["preventedMatchId"]]
            met = min(Decimal(match[f"{end}PreventedQuantity"]) for end in ("taker", "maker"))
            quantity = met * (1 if side == "BUY" else -1)
            yield account, spot("ETH", quantity, match["transactTime"])
            yield account, spot("USDT", -quantity * Decimal(match["price"]), match["transactTime"])


def test_what_is_told_explains_what_is_so_to_the_millisecond(world: World) -> None:
    true: defaultdict[tuple[Any, ...], Decimal] = defaultdict(Decimal)
    for move in world.ledger.moves:
        if move.measure == "balance" and move.reason != "opening":
            true[move.account, move.wallet, move.asset, move.at_us // 1000] += move.amount
    told: defaultdict[tuple[Any, ...], Decimal] = defaultdict(Decimal)
    for account, (wallet, asset, amount, at_ms) in (*told_legs(world), *prevented_legs(world)):
        told[account, wallet, asset, at_ms] += Decimal(amount)
    off = {key: (true[key], told[key]) for key in {*true, *told} if true[key] != told[key]}
    assert not off, list(off.items())[:5]


def test_loans_and_interest_are_told_too(world: World) -> None:
    true: Counter[tuple[str, str]] = Counter()
    for move in world.ledger.moves:
        if move.measure in ("loan", "interest") and move.wallet == "MARGIN":
            true[move.account, f"{move.measure} {move.asset}"] += move.amount  # type: ignore[assignment]
    told: Counter[tuple[str, str]] = Counter()
    for account, name, records in world.archive.lists():
        rows = [record.at(1 << 62) or {} for record in records]
        if name in ("/sapi/v1/margin/borrow-repay BORROW", "/sapi/v1/margin/borrow-repay REPAY"):
            sign = 1 if name.endswith("BORROW") else -1
            for row in rows:
                told[account, f"loan {row['asset']}"] += sign * Decimal(row["principal"])  # type: ignore[assignment]
                told[account, f"interest {row['asset']}"] -= Decimal(row["interest"])  # type: ignore[assignment]
        if name == "/sapi/v1/margin/interestHistory":
            for row in rows:
                if not row["type"].endswith("CONVERTED"):
                    told[account, f"interest {row['asset']}"] += Decimal(row["interest"])  # type: ignore[assignment]
    assert {key: value for key, value in told.items() if value} == {key: value for key, value in true.items() if value}


def test_every_stream_occurs_in_one_world_and_at_a_cut(world: World) -> None:
    found = events_per_stream([world])
    assert set(found) == set(STREAMS)
    assert {stream for stream, counted in found.items() if not counted.events} == set()
    assert sum(bool(counted.at_a_cut) for counted in found.values()) > len(found) * 0.9, table(found)


def test_every_stream_that_is_pulled_is_counted() -> None:
    counted = {stream.split()[0] for stream in STREAMS}
    pulled = {stream.endpoint.path for stream in PULLED if stream.role in ("flow", "detail")}
    what_there_is = {ORDERS, VIP_ONGOING}
    assert pulled - counted == what_there_is
    assert not set(NOT_PULLED) & {endpoint.path for endpoint in ENDPOINTS}


def test_a_sub_that_trades_for_an_investor_and_its_main_account_are_told_alike(world: World) -> None:
    desk = sub_email(1)
    tellings = ((desk, managed.OWN), (MAIN, f"{managed.TRADER} {desk}"))
    own, of_team = ([record.at(1 << 62) for record in world.archive.all(*name)] for name in tellings)
    assert own == of_team
    ways = {(row or {})["toEmail"] == desk for row in own}
    assert ways == {True, False}


def test_a_stream_without_any_event_falls_short(world: World) -> None:
    found = events_per_stream([make_world(11, days=2, subs=0, symbols_max=30, without=tuple(BUSINESS))])
    assert set(found) == set(STREAMS)
    assert all("events" in counted.lacks(stream) for stream, counted in found.items())
    assert table(found).count("LACKS events") == len(STREAMS)


def test_an_amount_that_the_wire_cannot_tell_is_no_amount_of_a_world() -> None:
    assert text8(Decimal("0.1")) == "0.10000000"
    with pytest.raises(ValueError, match="more than eight decimals"):
        text8(Decimal("0.000000001"))


@given(
    price=st.integers(1, 10**7).map(lambda n: Decimal(n).scaleb(-8)) | st.integers(1, 10**9).map(Decimal),
    steps=st.integers(-20, 20),
    worth=st.decimals("0.01", 10_000, places=8),
)
def test_what_an_order_is_worth_has_eight_decimals_wherever_its_price_moves(
    price: Decimal, steps: int, worth: Decimal
) -> None:
    step = price_step(price)
    moved = max(price.quantize(step) + step * steps, step)
    whole = quantity_of(moved, worth) * moved
    assert text8(whole) == f"{whole:.8f}"
    assert worth - whole < moved * Decimal(1).scaleb(-8 - int(moved.as_tuple().exponent))


@pytest.mark.long
def test_over_twenty_seeds_no_stream_lacks_anything() -> None:
    found = events_per_stream(make_world(seed) for seed in range(1, 21))
    assert not any(counted.lacks(stream) for stream, counted in found.items()), table(found)


_TOLD_TWICE = {
    "product_rewards": ("/sapi/v1/asset/assetDividend",),
    "converted_interest": ("/sapi/v1/margin/capital-flow",),
    "flexible_loans": ("/sapi/v1/loan/income",),
}
"""Where another list tells as well of what moved just the same."""
_TOLD_OTHERWISE = {"algo_fills": "/api/v3/myTrades", "sub_transfer_ids": SPOT_ONLY}
"""Where a list tells otherwise of what moved just the same."""


def contents(world: World) -> dict[tuple[str, str], list[Any]]:
    """What every list tells in the end, by account and name."""
    lists = world.archive.lists()
    return {(email, name): [record.at(1 << 62) for record in records] for email, name, records in lists}


def records_of(world: World, path: str) -> int:
    """How many records a list holds, of all accounts together."""
    return sum(len(world.archive.all(email, path)) for email in world.accounts)


@pytest.mark.parametrize(("doubt", "value"), [(name, choices[1]) for name, choices in DOUBTS.items()])
def test_every_doubt_makes_another_world(world: World, doubt: str, value: str) -> None:
    other = make_world(11, doubts={doubt: value})
    if doubt == "snapshot_as_of":
        assert other.ledger.moves == world.ledger.moves
        return
    if doubt in _TOLD_OTHERWISE:
        assert other.ledger.moves == world.ledger.moves
        one, two = contents(world), contents(other)
        differ = {place[1].split()[0] for place in one.keys() | two.keys() if one.get(place) != two.get(place)}
        assert differ == {_TOLD_OTHERWISE[doubt]}
        return
    if doubt in _TOLD_TWICE:
        assert all(records_of(other, path) > records_of(world, path) for path in _TOLD_TWICE[doubt])
        return
    ends = [world.first_ms + (day + 1) * DAY_MS for day in range(len(world.days))]
    differs = {
        (email, wallet)
        for email in world.accounts
        for wallet in ("SPOT", "FUNDING", "EARN")
        for end in ends
        if world.ledger.at(end * 1000, email, wallet) != other.ledger.at(end * 1000, email, wallet)
    }
    assert differs


def test_what_child_orders_state_is_what_their_fills_moved() -> None:
    told, apart = (
        make_world(11, days=4, subs=0, symbols_max=250, doubts={"algo_fills": value}) for value in DOUBTS["algo_fills"]
    )
    one, two = contents(told), contents(apart)
    fills = [row for place, rows in one.items() for row in rows if row not in two.get(place, [])]
    children = two[MAIN, ALGO_CHILDREN]
    stated = [
        (row["symbol"], row["side"] == "BUY", row["executedQty"], row["executedAmt"], row["feeAsset"], row["feeAmt"])
        for row in children
    ]
    assert sorted(stated) == sorted(
        (row["symbol"], row["isBuyer"], row["qty"], row["quoteQty"], row["commissionAsset"], f"-{row['commission']}")
        for row in fills
    )
    assert len({row["orderId"] for row in children}) < len(children)


@pytest.mark.parametrize("ids", DOUBTS["sub_transfer_ids"])
def test_the_older_list_tells_of_universal_transfers_under_their_number_or_at_their_instant(ids: str) -> None:
    told = contents(make_world(11, days=6, subs=1, symbols_max=250, doubts={"sub_transfer_ids": ids}))
    universal, old = told[MAIN, UNIVERSAL], told[MAIN, SPOT_ONLY]
    numbers = {row["tranId"] for row in universal} & {row["tranId"] for row in old}
    instants = {(row["amount"], row["createTimeStamp"]) for row in universal} & {(r["qty"], r["time"]) for r in old}
    assert (bool(numbers), bool(instants)) == (ids == "shared", ids == "own")


def test_pages_hold_everything_once(world: World) -> None:
    busy = max(world.accounts, key=lambda email: len(world.archive.all(email, "/sapi/v1/fiat/orders 0")))
    with serve(world, at_us=world.end_ms * 1000) as sandbox, httpx.Client(base_url=sandbox.url) as http:
        asker = Asker(http, sandbox.credentials[busy])
        rows: list[Row] = []
        for page in range(1, 9):
            told = asker.get(
                "/sapi/v1/fiat/orders",
                transactionType=0,
                page=page,
                rows=100,
                beginTime=world.first_ms,
                endTime=world.end_ms,
            )
            rows += told["data"]
            http.post("/sandbox/clock/advance", json={"to_us": asker.now_us() + 60_000_000})
    assert len(rows) == told["total"] == len({row["orderNo"] for row in rows})


def test_counting_is_of_streams_not_of_symbols(world: World) -> None:
    found = events_per_stream([world])
    assert "/api/v3/myTrades" in found
    assert "/sapi/v1/fiat/orders 1" in found
