"""A folder to begin with: credentials, a recon.yaml, and what is wrong in the world."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from recon_pipeline.sandbox.binance.accounts import FUND, MAIN, Account
from recon_pipeline.sandbox.binance.life.details import custody_sub
from recon_pipeline.sandbox.binance.life.income import MINER
from recon_pipeline.sandbox.binance.life.managed import trading_desk
from recon_pipeline.sandbox.binance.life.prediction import WALLET
from recon_pipeline.sandbox.binance.world import World


def credential_name(account: Account) -> str:
    """`binance_main`, `binance_desk_1`: under which name an account's key stands."""
    return "binance_" + account.name.replace("-", "_")


def environment(world: World) -> dict[str, str]:
    """The credentials as environment variables: BINANCE_MAIN_KEY, BINANCE_MAIN_SECRET, …"""
    variables = {}
    for account in world.accounts.values():
        name = credential_name(account).upper()
        key = world.key(account.email)
        variables[f"{name}_KEY"], variables[f"{name}_SECRET"] = key.key, key.secret
    return variables


def recon_yaml(world: World, url: str) -> str:
    """A recon.yaml that reconciles every account of the world."""
    lines = ["# A simulated Binance. The keys are in credentials.env.", f"start: {world.days[0]}", "venues:"]
    lines += ["  binance:", "    kind: binance", f"    sandbox: {url}", "    accounts:"]
    for account in world.accounts.values():
        named = "".join(f', {extra}: ["{value}"]' for extra, value in _extras(world, account).items())
        lines.append(f"      {account.email}: {{credentials: {credential_name(account)}{named}}}")
    return "\n".join(lines) + "\n"


def _extras(world: World, account: Account) -> dict[str, str]:
    """What only its user knows of an account, and some lists have to be asked with.

    The fund is named, but is no account of the home: of one without a key nothing but its snapshots and transfers can
    be read, and its rows would never be complete.
    """
    desk, sub = trading_desk(world.accounts), custody_sub(world.accounts)
    if account.email != MAIN:
        return {"managed_accounts": account.email} if account == desk else {}
    extras = {"mining_users": f"sha256:{MINER}", "managed_subs": FUND, "prediction_wallets": WALLET}
    extras |= {"managed_trader_subs": desk.email} if desk else {}
    return extras | ({"custody_subs": sub.email} if sub else {})


def write_home(folder: Path, world: World, url: str, manifest: Mapping[str, Any]) -> None:
    """Write credentials.env (readable by its owner alone), recon.yaml and manifest.json."""
    folder.mkdir(parents=True, exist_ok=True)
    secrets = folder / "credentials.env"
    secrets.touch(mode=0o600)
    secrets.write_text("".join(f"{name}={value}\n" for name, value in environment(world).items()), encoding="utf-8")
    (folder / "recon.yaml").write_text(recon_yaml(world, url), encoding="utf-8")
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
