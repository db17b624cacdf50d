"""The daily balance reconciliation: exact, day by day, on Dagster."""
