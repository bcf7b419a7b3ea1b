"""Parquet tables on Spark: their schemas, reads and writes that check them, and the datasets that they make up."""
