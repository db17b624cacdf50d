"""The process of a run, as `ForkingRunLauncher` starts it. What is imported here is imported before any run asks."""

from __future__ import annotations

import dagster_postgres  # noqa: F401
import pandas  # noqa: F401
import pyarrow.dataset  # noqa: F401
import sqlalchemy.dialects.postgresql  # noqa: F401
from dagster._cli.api import execute_run_command

import recon_pipeline.assets.storage
import recon_pipeline.stores.migrations  # noqa: F401
from recon_pipeline.stores.marts import mart_models

mart_models()  # read and parsed once, too


def execute(told: str) -> None:
    """Execute the run that `told` describes, as `dagster api execute_run` does."""
    execute_run_command.main([told], standalone_mode=False)
