"""What comes (or goes) without a counterpart: dividends, rebates, mining, and what is paid to and by people."""

from __future__ import annotations

from decimal import Decimal
from functools import partial

from recon_pipeline.sandbox.binance.accounts import Account
from recon_pipeline.sandbox.binance.chance import Dice
from recon_pipeline.sandbox.binance.life.ledgers import next_tran
from recon_pipeline.sandbox.binance.life.scene import Scene
from recon_pipeline.sandbox.binance.money import ZERO, floor8, plain, text8
from recon_pipeline.sandbox.binance.wire import number

DIVIDENDS = "/sapi/v1/asset/assetDividend"
REBATES = "/sapi/v1/rebate/taxQuery"
CLOUD_MINING = "/sapi/v1/asset/ledger-transfer/cloud-mining/queryByPage"
MINING_LIST, MINING_OTHER, MINING_UID = (f"/sapi/v1/mining/payment/{name}" for name in ("list", "other", "uid"))
PAY = "/sapi/v1/pay/transactions"
C2C = "/sapi/v1/c2c/orderMatch/listUserOrderHistory"
MINER, ALGORITHM = "miner-one", "sha256"
_KINDS = (
    "HODLer Airdrops Distribution", "Launchpool Airdrop", "Megadrop Rewards", "Cash Voucher", "BNB Vault",
    "ETH 2.0 Staking", "STAKING", "Token Swap - Distribution",
)  # fmt: skip
_PAY_KINDS = ("PAY", "PAY_REFUND", "C2C", "CRYPTO_BOX", "CRYPTO_BOX_RF", "PAYOUT", "REMITTANCE")


def plan(scene: Scene) -> None:
    """Everything of this kind, for every account; mining for the main one alone."""
    for account in scene.accounts.values():
        scene.often("dividend", account, 8, partial(airdrop, scene), cut="either")
        scene.often("dividend-out", account, 2, partial(airdrop, scene, is_out=True), cut="never")
        scene.often("rebate", account, 6, partial(rebate, scene), cut="either")
        scene.often("cloud mining", account, 4, partial(cloud_mining, scene), cut="either")
        scene.often("pay", account, 6, partial(pay, scene))
        scene.often("c2c", account, 5, partial(trade_with_person, scene))
    for name in (MINING_LIST, MINING_OTHER, MINING_UID):
        scene.often(name, scene.main, 12, partial(mine, scene, name))
        scene.burst(name, scene.main, 210, partial(mine, scene, name))
    busy = scene.dice.fork("busy-income").pick(list(scene.accounts.values()))
    scene.burst(DIVIDENDS, busy, 520, partial(airdrop, scene))
    scene.burst(REBATES, busy, 210, partial(rebate, scene))
    for path, deed in ((CLOUD_MINING, cloud_mining), (PAY, pay), (C2C, trade_with_person)):
        scene.burst(path, busy, 110, partial(deed, scene))


def dividend(scene: Scene, account: Account, asset: str, amount: Decimal, kind: str) -> None:
    """One row of the dividends: the cash truth of every reward that reaches the spot wallet."""
    row = scene.next_id("dividend", 1_637_366_104)
    scene.move(account, "SPOT", asset, amount, f"{DIVIDENDS} {row}")
    content = {
        "id": row, "amount": text8(abs(amount)), "asset": asset, "divTime": scene.now_ms, "enInfo": kind,
        "tranId": next_tran(scene) // 7 * 7, "direction": 1 if amount > 0 else 2,
    }  # fmt: skip
    scene.tell(account, DIVIDENDS, content)


def product_reward(scene: Scene, account: Account, asset: str, amount: Decimal, path: str) -> None:
    """A reward of a product with a history of its own: that alone tells of it, or (in a world of that kind) the
    dividends as well."""
    if scene.doubts["product_rewards"] == "dividends":
        dividend(scene, account, asset, amount, f"{asset} Rewards")
    else:
        scene.move(account, "SPOT", asset, amount, path)


def airdrop(scene: Scene, account: Account, dice: Dice, *, is_out: bool = False) -> None:
    """Something for nothing, or (`is_out`) taken back."""
    kind = "Token Swap - Redenomination/Rebranding" if is_out else dice.pick(_KINDS)
    asset = "BETH" if kind == "ETH 2.0 Staking" else dice.pick(("BNB", "LDO", "CAKE", "USDT", "PEPE"))
    amount = dice.amount("0.00000500", "2.5")
    if is_out:
        amount = -min(amount, dice.part(scene.have(account, "SPOT", asset), 1, 20))
    if amount:
        dividend(scene, account, asset, amount, kind)


def rebate(scene: Scene, account: Account, dice: Dice) -> None:
    """A rebate of commissions, or a kickback."""
    asset, amount = dice.pick(("USDT", "BNB", "BTC")), dice.amount("0.00000100", "0.01")
    scene.move(account, "SPOT", asset, amount, REBATES)
    content = {"asset": asset, "type": dice.pick((1, 2)), "amount": plain(amount), "updateTime": scene.now_ms}
    scene.tell(account, REBATES, content)


def cloud_mining(scene: Scene, account: Account, dice: Dice) -> None:
    """A payment for cloud mining, or its refund."""
    kind, amount = (248, -1) if dice.chance(70) else (249, 1), dice.amount("5", "60", 4)
    tran_id = next_tran(scene)
    scene.move(account, "SPOT", "USDT", amount * kind[1], f"{CLOUD_MINING} {tran_id}")
    content = {
        "createTime": scene.now_ms, "tranId": tran_id, "type": kind[0], "asset": "USDT", "amount": plain(amount),
        "status": "S",
    }  # fmt: skip
    scene.tell(account, CLOUD_MINING, content)


def mine(scene: Scene, path: str, account: Account, dice: Dice) -> None:
    """What the pool pays into the funding wallet; one in ten is not paid yet. Amounts are JSON numbers."""
    amount = dice.amount("0.00000100", "0.004")
    is_paid = path == MINING_UID or not dice.chance(10)
    scene.move(account, "FUNDING", "BTC", amount if is_paid else ZERO, path)
    told = number(amount)
    content: dict[str, object] = {"time": scene.now_ms, "coinName": "BTC"}
    if path == MINING_LIST:
        content |= {"type": 0, "hashTransfer": 0, "transferAmount": 0, "dayHashRate": 129_129_903_378_244}
        content |= {"profitAmount": told, "status": 2 if is_paid else 0}
    elif path == MINING_OTHER:
        content |= {"type": dice.pick((4, 5, 6)), "profitAmount": told, "status": 2 if is_paid else 0}
    else:
        content |= {"type": 2, "puid": 59_985_472, "subName": MINER, "amount": told}
    scene.tell(account, path, content)


def pay(scene: Scene, account: Account, dice: Dice) -> None:
    """A payment by or to the account, out of the funding wallet, the spot wallet, or both."""
    currency, kind = dice.pick(("USDT", "USDC", "BNB")), dice.pick(_PAY_KINDS)
    is_out = dice.chance(60)
    wallets = dice.pick((("FUNDING",), ("SPOT",), ("FUNDING", "SPOT")))
    parts = {wallet: dice.part(scene.have(account, wallet, currency), 1, 12) for wallet in wallets}
    parts = {wallet: amount for wallet, amount in parts.items() if amount}
    if not parts:
        return
    total, sign = sum(parts.values(), ZERO), -1 if is_out else 1
    codes = {"FUNDING": 1, "SPOT": 2}
    number_of = f"M_P_{71_505_104_267_788_288 + scene.next_id('pay')}"
    for wallet, amount in parts.items():
        scene.move(account, wallet, currency, sign * amount, f"{PAY} {number_of}")
    cost = {str(codes[wallet]): plain(amount) for wallet, amount in parts.items()}
    content = {
        "orderType": kind, "transactionId": number_of, "transactionTime": scene.now_ms, "amount": plain(sign * total),
        "currency": currency, "walletType": codes[next(iter(parts))], "walletTypes": [codes[name] for name in parts],
        "fundsDetail": [{"currency": currency, "amount": plain(total), "walletAssetCost": cost}],
        "payerInfo": {"name": "payer" if is_out else "friend", "type": "USER", "binanceId": str(account.uid)},
        "receiverInfo": {"name": "shop" if is_out else "payee", "type": "MERCHANT" if is_out else "USER"},
    }  # fmt: skip
    scene.tell(account, PAY, content)


def trade_with_person(scene: Scene, account: Account, dice: Dice) -> None:
    """A trade with another person: the crypto leg alone moves at the venue; a few are cancelled."""
    asset, is_buy = dice.pick(("USDT", "BTC")), dice.chance(50)
    amount = dice.part(scene.have(account, "FUNDING", asset), 2, 25)
    if not amount:
        return
    status = "CANCELLED" if dice.chance(12) else "COMPLETED"
    role = dice.pick(("MAKER", "TAKER"))
    fee = floor8(amount / 1000) if dice.chance(50) else ZERO
    order = f"{20_219_644_646_554_779_648 + scene.next_id('c2c')}"
    if status == "COMPLETED":
        scene.move(account, "FUNDING", asset, (amount if is_buy else -amount) - fee, f"{C2C} {order}")
    price = Decimal("7.02") * (1 if asset == "USDT" else 95_000)
    content = {
        "orderNumber": order, "advNo": f"{11_218_246_497_340_923_904 + dice.between(0, 999)}",
        "tradeType": "BUY" if is_buy else "SELL", "asset": asset, "fiat": "CNY", "fiatSymbol": "￥",
        "amount": text8(amount), "totalPrice": text8(floor8(amount * price)), "unitPrice": plain(price),
        "orderStatus": status, "createTime": scene.now_ms, "commission": plain(fee if role == "MAKER" else ZERO),
        "counterPartNickName": "f***", "payMethodName": "BANK", "additionalKycVerify": 0, "takerCommissionRate": "0",
        "takerCommission": plain(fee if role == "TAKER" else ZERO), "takerAmount": text8(amount),
        "advertisementRole": role,
    }  # fmt: skip
    scene.tell(account, C2C, content)
