"""The marts as assets: one for each SQL model, its columns documented, each of its tests an asset check."""

from collections.abc import Iterator, Sequence

import dagster as dg

from recon_pipeline.assets import metadata
from recon_pipeline.assets.resource import Reconciler
from recon_pipeline.stores.marts import mart_models, refresh, run_tests
from recon_pipeline.stores.models import Model

GROUP = "marts"
_FRAMES = ("transfers", "trades", "balances", "prices", "reconciliation")


def mart_assets(venues: Sequence[str]) -> dg.AssetsDefinition:
    """Every mart, brought up to date and tested in one step, in the order in which they read each other."""
    models = mart_models()

    @dg.multi_asset(
        name="marts",
        specs=[_spec(model, venues) for model in models],
        check_specs=[_check(model, name, text) for model in models for name, text in _tests(model)],
        can_subset=True,
        pool="marts",
    )
    def marts(
        context: dg.AssetExecutionContext, reconciler: Reconciler
    ) -> Iterator[dg.MaterializeResult[None] | dg.AssetCheckResult]:
        for model in models:
            if mart_key(model.name) in context.selected_asset_keys:
                yield from _materialise(model, reconciler)

    return marts


def mart_key(name: str) -> dg.AssetKey:
    """The asset key of a mart."""
    return dg.AssetKey(["marts", name])


def _materialise(model: Model, reconciler: Reconciler) -> Iterator[dg.MaterializeResult[None]]:
    rows = refresh(reconciler.url, [model])
    results = [
        dg.AssetCheckResult(
            passed=result.passed,
            asset_key=mart_key(model.name),
            check_name=result.name,
            metadata={
                "rows at fault": result.failing_rows,
                "sample": metadata.table(result.sample),
                "sql": dg.MetadataValue.md(f"```sql\n{result.sql}\n```"),
            },
        )
        for result in run_tests(reconciler.url, model)
    ]
    counted = {"dagster/row_count": rows[model.name]} if model.name in rows else {}
    yield dg.MaterializeResult(asset_key=mart_key(model.name), metadata=counted, check_results=results)


def _spec(model: Model, venues: Sequence[str]) -> dg.AssetSpec:
    stored = {table.removeprefix("recon.") for table in model.reads if table.startswith("recon.")}
    frames = sorted(stored & set(_FRAMES)) or (["reconciliation"] if stored else [])
    upstream = [mart_key(name) for name in model.depends_on]
    upstream += [dg.AssetKey([venue, frame]) for venue in venues for frame in frames]
    return dg.AssetSpec(
        mart_key(model.name),
        deps=upstream,
        description=model.description,
        group_name=GROUP,
        kinds={"postgres", model.materialized},
        owners=["team:data"],
        metadata={
            "dagster/column_schema": metadata.model_schema(model),
            "dagster/relation_identifier": model.relation,
            "sql": dg.MetadataValue.md(f"```sql\n{model.sql}\n```"),
        },
    )


def _tests(model: Model) -> list[tuple[str, str]]:
    return [(test.name, test.description) for test in model.tests]


def _check(model: Model, name: str, description: str) -> dg.AssetCheckSpec:
    return dg.AssetCheckSpec(name, asset=mart_key(model.name), description=description)
