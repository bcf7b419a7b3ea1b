"""Pure Spark: similar items."""
