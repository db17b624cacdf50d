"""Where results are kept: the Parquet lake and PostgreSQL."""
