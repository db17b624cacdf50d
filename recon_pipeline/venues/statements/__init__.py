"""The venue `statements`: a folder of CSV or Parquet files, canonical or mapped by SQL that the user writes."""
