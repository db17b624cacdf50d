"""Pure: which days rest on what, the roll-forward, the comparison; runs the SQL of dbt_like_sql."""
