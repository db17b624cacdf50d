"""What hands the pipeline's steps to Dagster, and tells Dagster what they did. Nothing is computed here."""
