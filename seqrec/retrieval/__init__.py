"""On Spark: similar items, and candidates of several sources."""
