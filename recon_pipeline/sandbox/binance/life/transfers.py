"""Money on its way between wallets of one account, and between the main account and its subs."""

from __future__ import annotations

from decimal import Decimal
from functools import partial
from typing import Any

from recon_pipeline.sandbox.binance.accounts import Account
from recon_pipeline.sandbox.binance.chance import Dice
from recon_pipeline.sandbox.binance.life.ledgers import ISOLATED, MARGIN_TRANSFERS, leg, next_tran
from recon_pipeline.sandbox.binance.life.scene import Scene
from recon_pipeline.sandbox.binance.moments import MINUTE_MS, SECOND_MS
from recon_pipeline.sandbox.binance.money import floor8, plain

PATH = "/sapi/v1/asset/transfer"
UNIVERSAL = "/sapi/v1/sub-account/universalTransfer"
SPOT_ONLY = "/sapi/v1/sub-account/sub/transfer/history"
OF_SUB = "/sapi/v1/sub-account/transfer/subUserHistory"
INTERNAL = "/sapi/v1/sub-account/futures/internalTransfer"
ISOLATED_SYMBOLS = ("BTCUSDT", "ETHUSDT")
CODES = {
    "MAIN": ("SPOT", None, "USDT USDC BTC ETH BNB"),
    "FUNDING": ("FUNDING", None, "USDT USDC BTC ETH BNB"),
    "MARGIN": ("MARGIN", "margin", "USDT BTC ETH BNB"),
    "UMFUTURE": ("FUTURES", "futures", "USDT USDC BNB"),
    "CMFUTURE": ("FUTURES_COIN", "futures_coin", "BTC ETH BNB"),
    "OPTION": ("OPTION", "option", "USDT"),
    "PORTFOLIO_MARGIN": ("PORTFOLIO_MARGIN", "portfolio_margin", "USDT BTC"),
    "ISOLATEDMARGIN": (ISOLATED, "isolated", "USDT BTC ETH"),
}
"""The words of a transfer's type: the wallet, the product that opens it, and what it may hold."""
_PAIRS = (
    "MAIN UMFUTURE", "MAIN CMFUTURE", "MAIN MARGIN", "MAIN FUNDING", "MAIN OPTION", "MAIN PORTFOLIO_MARGIN",
    "UMFUTURE MARGIN", "CMFUTURE MARGIN", "UMFUTURE FUNDING", "CMFUTURE FUNDING", "MARGIN FUNDING",
    "UMFUTURE OPTION", "MARGIN OPTION", "FUNDING OPTION", "MARGIN ISOLATEDMARGIN",
)  # fmt: skip
TYPES = (
    *("_".join(pair.split()) for pair in _PAIRS),
    *("_".join(pair.split()[::-1]) for pair in _PAIRS),
    "ISOLATEDMARGIN_ISOLATEDMARGIN",
)
_OLD_TRAN_ID, _TOLD_LATER_MS = 6_489_943_000, 900
ACCOUNT_TYPES = {"SPOT": "SPOT", "USDT_FUTURE": "FUTURES", "COIN_FUTURE": "FUTURES_COIN", "MARGIN": "MARGIN"}
_HOLDINGS = {
    "FUNDING": {"USDT": "9000", "USDC": "4000", "BTC": "0.3", "ETH": "4", "BNB": "12"},
    "MARGIN": {"USDT": "30000", "BTC": "0.5", "ETH": "8", "BNB": "25"},
    "FUTURES": {"USDT": "45000", "USDC": "6000", "BNB": "20"},
    "FUTURES_COIN": {"BTC": "0.9", "ETH": "11", "BNB": "18"},
    "OPTION": {"USDT": "20000"},
    "PORTFOLIO_MARGIN": {"USDT": "52000", "BTC": "0.8"},
    "ISOLATED_MARGIN:BTCUSDT": {"USDT": "9000", "BTC": "0.12"},
    "ISOLATED_MARGIN:ETHUSDT": {"USDT": "7000", "ETH": "2.5"},
}


def open_wallet(scene: Scene) -> None:
    """What the wallets other than spot hold when the world begins."""
    for account in scene.accounts.values():
        dice = scene.dice.fork("other holdings", account.email)
        opened = {CODES[code][0] for code in CODES if _has(account, code)}
        for wallet, assets in _HOLDINGS.items():
            if wallet in opened or (wallet.startswith(ISOLATED) and ISOLATED in opened):
                for asset, about in assets.items():
                    amount = floor8(Decimal(about) * dice.between(600, 1400) / 1000)
                    scene.move(account, wallet, asset, amount, "opening")


def _has(account: Account, code: str) -> bool:
    product = CODES[code][1]
    return product is None or product in account.products


def split_type(kind: str) -> tuple[str, str]:
    """The two words of a type; MAIN_PORTFOLIO_MARGIN has an underscore within one of them."""
    for code in CODES:
        if kind.startswith(f"{code}_") and kind[len(code) + 1 :] in CODES:
            return code, kind[len(code) + 1 :]
    raise ValueError(kind)


def plan(scene: Scene) -> None:
    """Transfers of every type that an account can make, and between the accounts."""
    for account in scene.accounts.values():
        possible = [kind for kind in TYPES if all(_has(account, code) for code in split_type(kind))]
        for kind in possible:
            often = 5 if kind in ("MAIN_FUNDING", "FUNDING_MAIN") else 2
            scene.often(f"transfer {kind}", account, often, partial(between_wallets, scene, kind))
    for account in scene.opened("isolated"):
        scene.often("spot and isolated", account, 3, partial(_on_the_second, scene), cut="never")
    subs = [account for account in scene.accounts.values() if not account.is_main]
    for sub in [sub for sub in subs if "isolated" in sub.products]:
        scene.often("isolated by main", sub, 4, partial(isolated_by_main, scene))
    scene.burst(PATH, scene.main, 110, partial(between_wallets, scene, "MAIN_FUNDING"))
    if "margin" in scene.main.products:
        scene.burst("margin transfers", scene.main, 110, partial(between_wallets, scene, "MAIN_MARGIN"))
    if not subs:
        return
    for sub in subs:
        scene.often("sub spot", sub, 8, partial(spot_to_spot, scene))
        scene.often("sub universal", sub, 10, partial(universal, scene))
    for sub in [sub for sub in subs if "futures" in sub.products]:
        scene.often("sub futures", sub, 5, partial(futures_to_futures, scene))
    burst_of = scene.dice.fork("busy-subs").pick(subs)
    scene.burst(UNIVERSAL, burst_of, 520, partial(universal, scene, is_small=True))
    scene.burst(SPOT_ONLY, burst_of, 520, partial(spot_to_spot, scene, is_small=True))
    if "futures" in subs[0].products:
        scene.burst(INTERNAL, subs[0], 520, partial(futures_to_futures, scene, is_small=True))


def between_wallets(scene: Scene, kind: str, account: Account, dice: Dice) -> None:
    """One transfer between two wallets of an account: both legs, and a row of the list of its type."""
    codes = split_type(kind)
    symbols = [dice.pick(ISOLATED_SYMBOLS) if code == "ISOLATEDMARGIN" else "" for code in codes]
    if kind == "ISOLATEDMARGIN_ISOLATEDMARGIN":
        symbols = list(dice.some(ISOLATED_SYMBOLS, 2))
    source, target = (_wallet(code, symbol) for code, symbol in zip(codes, symbols, strict=True))
    allowed = [set(_assets(code, symbol)) for code, symbol in zip(codes, symbols, strict=True)]
    asset = dice.pick(sorted(allowed[0] & allowed[1]))
    amount = dice.part(scene.have(account, source, asset), 5, 60)
    if amount <= 0:
        return
    tran_id, fate = next_tran(scene), dice.between(0, 99)
    content = {
        "asset": asset, "amount": plain(amount), "type": kind, "status": "FAILED" if fate < 4 else "CONFIRMED",
        "tranId": tran_id, "timestamp": scene.now_ms,
    }  # fmt: skip
    content |= {name: symbol for name, symbol in zip(("fromSymbol", "toSymbol"), symbols, strict=True) if symbol}
    record = scene.tell(account, PATH, content)
    if fate < 4:
        return
    leg(scene, account, source, (asset, -amount), tran_id)
    leg(scene, account, target, (asset, amount), tran_id)
    _tell_margin(scene, account, content, source, target)
    if fate > 90:  # the money has moved, the row says so a little later
        record.versions[0] = (record.versions[0][0], {**content, "status": "PENDING"})
        record.change((scene.now_ms + MINUTE_MS) * 1000, content)


def _wallet(code: str, symbol: str) -> str:
    return CODES[code][0] + symbol


def _assets(code: str, symbol: str) -> list[str]:
    return [symbol.removesuffix("USDT"), "USDT"] if symbol else CODES[code][2].split()


def _tell_margin(scene: Scene, account: Account, content: dict[str, Any], source: str, target: str) -> None:
    """The margin wallets' own list of the same transfers; its timestamps are in seconds."""
    for wallet, kind in ((source, "ROLL_OUT"), (target, "ROLL_IN")):
        if wallet == "MARGIN" or wallet.startswith(ISOLATED):
            row = {
                "amount": content["amount"], "asset": content["asset"], "status": "CONFIRMED",
                "timestamp": scene.now_ms // 1000, "txId": content["tranId"], "type": kind,
                "transFrom": source.split(":", maxsplit=1)[0], "transTo": target.split(":", maxsplit=1)[0],
                "fromSymbol": content.get("fromSymbol"), "toSymbol": content.get("toSymbol"),
            }  # fmt: skip
            scene.tell(account, MARGIN_TRANSFERS, {key: value for key, value in row.items() if value})


def _on_the_second(scene: Scene, account: Account, dice: Dice) -> None:
    """The list of the isolated wallet tells whole seconds, and nothing else tells when this happens."""
    scene.at((scene.now_ms // SECOND_MS + 1) * SECOND_MS, partial(spot_and_isolated, scene, account, dice))


def spot_and_isolated(scene: Scene, account: Account, dice: Dice) -> None:
    """A transfer that is made at the isolated wallet: its list and its ledger alone tell of it."""
    moved = _to_or_from_isolated(scene, account, account, dice)
    if moved is not None:
        _tell_margin(scene, account, *moved)


def isolated_by_main(scene: Scene, sub: Account, dice: Dice) -> None:
    """A transfer between spot and isolated margin of a sub that the main account makes, from its own spot wallet or the
    sub's: its universal history tells of it, and the isolated wallet's list does as well."""
    spot = scene.main if dice.chance(50) else sub
    moved = _to_or_from_isolated(scene, spot, sub, dice)
    if moved is None:
        return
    content, source, target = moved
    kinds = ("ISOLATED_MARGIN", "SPOT") if source.startswith(ISOLATED) else ("SPOT", "ISOLATED_MARGIN")
    parties = (sub, spot) if source.startswith(ISOLATED) else (spot, sub)
    told = {
        "tranId": content["tranId"], "fromEmail": parties[0].email, "toEmail": parties[1].email,
        "asset": content["asset"], "amount": content["amount"], "createTimeStamp": scene.now_ms,
        "fromAccountType": kinds[0], "toAccountType": kinds[1], "status": "SUCCESS",
        "clientTranId": f"client-{dice.hex(8)}",
    }  # fmt: skip
    scene.tell(scene.main, UNIVERSAL, told)
    _tell_margin(scene, sub, content, source, target)
    if spot.is_main:
        money = content["asset"], Decimal(content["amount"])
        _tell_subs(scene, *parties, kinds=kinds, money=money, tran_id=content["tranId"], status="SUCCESS")


def _to_or_from_isolated(
    scene: Scene, spot: Account, isolated: Account, dice: Dice
) -> tuple[dict[str, Any], str, str] | None:
    """Both legs of such a transfer; what is told of it, and the wallets on its two sides."""
    symbol = dice.pick(ISOLATED_SYMBOLS)
    wallets, symbols, is_in = [(spot, "SPOT"), (isolated, ISOLATED + symbol)], ["", symbol], dice.chance(50)
    if not is_in:
        wallets.reverse()
        symbols.reverse()
    asset = dice.pick(_assets("ISOLATEDMARGIN", symbol))
    amount = dice.part(scene.have(*wallets[0], asset), 5, 40)
    if amount <= 0:
        return None
    tran_id = next_tran(scene)
    for (account, wallet), signed in zip(wallets, (-amount, amount), strict=True):
        leg(scene, account, wallet, (asset, signed), tran_id)
    content = {"asset": asset, "amount": plain(amount), "tranId": tran_id}
    content |= dict(zip(("fromSymbol", "toSymbol"), symbols, strict=True))
    return content, wallets[0][1], wallets[1][1]


def _parties(scene: Scene, sub: Account, dice: Dice) -> tuple[Account, Account]:
    """Who sends and who receives: the sub, and the main account or another sub."""
    others = [account for account in scene.accounts.values() if account.email != sub.email]
    other = scene.main if dice.chance(70) else dice.pick(others)
    return (sub, other) if dice.chance(50) else (other, sub)


def spot_to_spot(scene: Scene, sub: Account, dice: Dice, *, is_small: bool = False) -> None:
    """A transfer of the old kind, between two spot wallets."""
    source, target = _parties(scene, sub, dice)
    asset = dice.pick(("USDT", "BTC", "ETH", "BNB"))
    amount = dice.part(scene.have(source, "SPOT", asset), 1, 2 if is_small else 40)
    if amount <= 0:
        return
    tran_id = next_tran(scene)
    leg(scene, source, "SPOT", (asset, -amount), tran_id)
    leg(scene, target, "SPOT", (asset, amount), tran_id)
    _tell_spot(scene, source, target, (asset, amount), tran_id)
    _tell_subs(scene, source, target, kinds=("SPOT", "SPOT"), money=(asset, amount), tran_id=tran_id, status="SUCCESS")


def _tell_spot(
    scene: Scene,
    source: Account,
    target: Account,
    money: tuple[str, Decimal],
    tran_id: int,
    *,
    later_ms: int = 0,
) -> None:
    """A row of the list of the old kind: under the move's own number, or under one of that list's."""
    at_ms = scene.now_ms + later_ms
    if scene.doubts["sub_transfer_ids"] == "own":
        tran_id = scene.next_id("tranId of old", _OLD_TRAN_ID)
    content = {
        "from": source.email, "to": target.email, "asset": money[0], "qty": plain(money[1]), "status": "SUCCESS",
        "tranId": tran_id, "time": at_ms,
    }  # fmt: skip
    scene.tell(scene.main, SPOT_ONLY, content, at_ms=at_ms)


def universal(scene: Scene, sub: Account, dice: Dice, *, is_small: bool = False) -> None:
    """A transfer between any two wallets of two accounts; one in twenty fails."""
    source, target = _parties(scene, sub, dice)
    kinds = dice.pick(tuple(ACCOUNT_TYPES)), dice.pick((*ACCOUNT_TYPES, "ALPHA"))
    if is_small or not _can(source, kinds[0]) or not _can(target, kinds[1]):
        kinds = ("SPOT", "SPOT")
    wallets = ACCOUNT_TYPES[kinds[0]], ACCOUNT_TYPES.get(kinds[1], "ALPHA")
    asset = dice.pick(("BTC", "BNB") if "COIN_FUTURE" in kinds else ("USDT", "BNB"))
    if "COIN_FUTURE" in kinds:
        asset = "BNB" if "USDT_FUTURE" in kinds else asset
    amount = dice.part(scene.have(source, wallets[0], asset), 1, 2 if is_small else 30)
    if amount <= 0:
        return
    tran_id, status = next_tran(scene), "FAILURE" if dice.chance(5) else "SUCCESS"
    content = {
        "tranId": tran_id, "fromEmail": source.email, "toEmail": target.email, "asset": asset, "amount": plain(amount),
        "createTimeStamp": scene.now_ms, "fromAccountType": kinds[0], "toAccountType": kinds[1], "status": status,
        "clientTranId": f"client-{dice.hex(8)}",
    }  # fmt: skip
    scene.tell(scene.main, UNIVERSAL, content)
    _tell_subs(scene, source, target, kinds=kinds, money=(asset, amount), tran_id=tran_id, status=status)
    if status == "SUCCESS":
        leg(scene, source, wallets[0], (asset, -amount), tran_id)
        leg(scene, target, wallets[1], (asset, amount), tran_id)
        if kinds == ("SPOT", "SPOT") and tran_id % 2:
            # where the number says which move it is, the lists need not state one instant
            has_one = scene.doubts["sub_transfer_ids"] == "own"
            later_ms = 0 if has_one else dice.fork("told").between(1, _TOLD_LATER_MS)
            _tell_spot(scene, source, target, (asset, amount), tran_id, later_ms=later_ms)


def _can(account: Account, kind: str) -> bool:
    needs = {"USDT_FUTURE": "futures", "COIN_FUTURE": "futures_coin", "MARGIN": "margin"}.get(kind)
    return needs is None or needs in account.products


def _tell_subs(
    scene: Scene,
    source: Account,
    target: Account,
    *,
    kinds: tuple[str, str],
    money: tuple[str, Decimal],
    tran_id: int,
    status: str,
) -> None:
    """What each sub-account sees of it in its own list."""
    for account, other, kind in ((source, target, 2), (target, source, 1)):
        if not account.is_main:
            content = {
                "counterParty": "master" if other.is_main else "subAccount", "email": other.email, "type": kind,
                "asset": money[0], "qty": plain(money[1]), "fromAccountType": kinds[0], "toAccountType": kinds[1],
                "status": status, "tranId": tran_id, "time": scene.now_ms,
            }  # fmt: skip
            scene.tell(account, OF_SUB, content)


def futures_to_futures(scene: Scene, sub: Account, dice: Dice, *, is_small: bool = False) -> None:
    """A transfer between the futures wallets of the main account and a sub; both ledgers call it internal."""
    source, target = (sub, scene.main) if dice.chance(50) else (scene.main, sub)
    has_coin = "futures_coin" in sub.products and dice.chance(40)
    wallet, asset = ("FUTURES_COIN", "BTC") if has_coin else ("FUTURES", "USDT")
    amount = dice.part(scene.have(source, wallet, asset), 1, 2 if is_small else 40)
    if amount <= 0:
        return
    tran_id = next_tran(scene)
    kind = "TRANSFER" if has_coin else "INTERNAL_TRANSFER"
    leg(scene, source, wallet, (asset, -amount), tran_id, kind=kind)
    leg(scene, target, wallet, (asset, amount), tran_id, kind=kind)
    content = {
        "from": source.email, "to": target.email, "asset": asset, "qty": plain(amount), "tranId": tran_id,
        "time": scene.now_ms,
    }  # fmt: skip
    scene.tell(scene.main, f"{INTERNAL} {sub.email} {2 if has_coin else 1}", content)
