"""`recon secrets`: the encrypted file of keys. A value comes from a prompt or from stdin, never from the command."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import click

from recon_pipeline.transport.credentials import check_value
from recon_pipeline.transport.secret import Secret
from recon_pipeline.transport.secrets_file import PASSPHRASE, SecretsFile

_PEM = "-----BEGIN"
_PEM_END = "-----END"


@click.group()
def secrets() -> None:
    """Keep the keys of accounts in an encrypted file below RECON_HOME.

    The key to it is RECON_SECRETS_KEY (or the file that RECON_SECRETS_KEY_FILE names), else one that the system's
    keyring holds.
    """


@secrets.command("set")
@click.argument("name")
def set_secret(name: str) -> None:
    """Store a secret under NAME, such as binance_main_key or binance_main_secret.

    It is asked for without being shown, or read from stdin. A private key is pasted, or piped, as its PEM file.
    """
    value = _value(f"value of {name.lower()}")
    if value:
        check_value(value, f"the secret {name.lower()}")
    was_there = _file().set(name, value)
    click.echo(f"{'replaced' if was_there else 'stored'} {name.lower()}")


@secrets.command("list")
@click.option("--json", "is_json", is_flag=True, help="Print JSON.")
def list_secrets(is_json: bool) -> None:
    """List the names of the secrets that are stored, never the secrets."""
    names = _file().names()
    if is_json:
        click.echo(json.dumps({"exit_code": 0, "secrets": list(names)}))
    else:
        click.echo("\n".join(names) or "none yet: recon secrets set NAME")


@secrets.command("rotate")
def rotate_secrets() -> None:
    """Encrypt the file anew: under a new passphrase that is asked for, or under the keyring's next.

    Where RECON_SECRETS_KEY is set, it has to hold the new passphrase from then on.
    """
    is_own = any(os.environ.get(name) for name in (PASSPHRASE, f"{PASSPHRASE}_FILE"))
    if _file().rotate(_value("new passphrase") if is_own else None):
        click.echo("encrypted anew; the keyring holds the new key")
    else:
        click.echo(f"encrypted anew; set {PASSPHRASE} to the new passphrase wherever recon runs")


@secrets.command("remove")
@click.argument("name")
def remove_secret(name: str) -> None:
    """Forget the secret NAME."""
    _file().remove(name)
    click.echo(f"removed {name.lower()}")


def _file() -> SecretsFile:
    return SecretsFile(Path(os.environ.get("RECON_HOME") or ".recon").expanduser().absolute())


def _value(what: str) -> Secret:
    if not sys.stdin.isatty():
        return Secret(sys.stdin.read().strip())
    first = str(click.prompt(what, hide_input=True))
    lines = [first]
    if first.lstrip().startswith(_PEM):  # the rest of what was pasted
        while not lines[-1].lstrip().startswith(_PEM_END):
            lines.append(str(click.prompt("", hide_input=True, prompt_suffix="", default="", show_default=False)))
    return Secret("\n".join(lines).strip())
