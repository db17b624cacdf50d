"""Write docs/reference/*.md from the code, or with --check say which of them are out of date.

python -m docs.generate [--check]
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import click

from recon_pipeline.cli import cli as recon
from recon_pipeline.frames.registry import SUBTYPES, WALLETS
from recon_pipeline.frames.schema import FRAMES, Frame
from recon_pipeline.stores.marts import mart_models

REFERENCE = Path(__file__).parent / "reference"
REPOSITORY = Path(__file__).parent.parent
HEADER = "<!-- Made by `python -m docs.generate` from the code; edit that. -->\n"


def frames_page() -> str:
    """Every frame with its columns: the public file format."""
    return "\n".join(["# Frames", "", *(line for frame in FRAMES.values() for line in _frame(frame))])


def _frame(frame: Frame) -> Iterator[str]:
    yield from (f"## {frame.name}", "", frame.description, "")
    yield from (f"Key: {', '.join(frame.key)}. Partitioned by the UTC day of `{frame.partitioned_by}`.", "")
    yield from ("| column | type | | meaning |", "|---|---|---|---|")
    for column in frame.columns:
        need = "required" if column.required else "may be null" if column.nullable else "has a default"
        allowed = f" One of {', '.join(column.allowed)}." if column.allowed else ""
        yield f"| {column.name} | {column.type} | {need} | {column.description}{allowed} |"
    yield ""


def registries_page() -> str:
    """The subtypes with their buckets, and the usual wallets."""
    lines = ["# Registries", "", "## Subtypes", "", "| txn_subtype | bucket | meaning |", "|---|---|---|"]
    lines += [f"| {s.name} | {s.bucket or 'by sign'} | {s.description} |" for s in SUBTYPES]
    lines += [
        "",
        "## Wallets",
        "",
        "The registry is open: a mapping names its own.",
        "",
        "| wallet | meaning |",
        "|---|---|",
    ]
    lines += [f"| {wallet.name} | {wallet.description} |" for wallet in WALLETS]
    return "\n".join([*lines, ""])


def marts_page() -> str:
    """Every mart with its columns and tests."""
    lines = ["# Marts", "", "Views and tables of the schema `marts`, for `recon_reader`.", ""]
    for model in sorted(mart_models(), key=lambda model: model.name):
        lines += [f"## {model.name}", "", model.description, "", "| column | type | meaning |", "|---|---|---|"]
        lines += [f"| {column.name} | {column.type} | {column.description} |" for column in model.columns]
        lines.append("")
    return "\n".join(lines)


def commands_page() -> str:
    """What every command of `recon` says of itself."""
    lines = ["# Commands", ""]
    for path, command in _commands("recon", recon):
        context = click.Context(command, info_name=path, terminal_width=100)
        lines += [f"## {path}", "", "```", command.get_help(context), "```", ""]
    return "\n".join(lines)


def _commands(path: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        for name in sorted(command.commands):
            yield from _commands(f"{path} {name}", command.commands[name])


PAGES = {"frames": frames_page, "registries": registries_page, "marts": marts_page, "commands": commands_page}


def main(arguments: list[str]) -> int:
    """Write the pages, or check them; 1 if any is out of date."""
    stale = []
    REFERENCE.mkdir(exist_ok=True)
    for name, make in PAGES.items():
        path, text = REFERENCE / f"{name}.md", HEADER + make()
        if "--check" not in arguments:
            path.write_text(text)
        elif not path.exists() or path.read_text() != text:
            stale.append(str(path.relative_to(REPOSITORY)))
    if stale:
        sys.stderr.write(f"out of date: {', '.join(stale)}; run python -m docs.generate and commit the result\n")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
