"""What every command begins with: the settings in force, and the venue that an option names."""

from __future__ import annotations

import os
from pathlib import Path

import click

from recon_pipeline.config import Settings, load_settings
from recon_pipeline.errors import ConfigError


def find_settings() -> Settings:
    """The settings in force: RECON_CONFIG, else ./recon.yaml, else what `recon demo` left under RECON_HOME."""
    demo_config = Path(os.environ.get("RECON_HOME") or ".recon") / "demo" / "recon.yaml"
    if not os.environ.get("RECON_CONFIG") and not Path("recon.yaml").exists() and demo_config.exists():
        click.echo(f"no recon.yaml here: using the demo's, {demo_config}", err=True)
        os.environ["RECON_CONFIG"] = str(demo_config)
    return load_settings()


def venue_names(settings: Settings, name: str | None) -> list[str]:
    """That venue alone, or all of them where none is named; ConfigError if recon.yaml has none of that name."""
    if name is None:
        return list(settings.venues)
    if name not in settings.venues:
        raise ConfigError(
            f"there is no venue {name!r}",
            where=str(settings.path),
            expected=f"one of {', '.join(settings.venues)}",
            next_step="correct --venue, or describe the venue there",
        )
    return [name]
