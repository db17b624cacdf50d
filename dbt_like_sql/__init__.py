"""The SQL: `reconciliation` runs in DuckDB, `marts` are views and tables of PostgreSQL."""
