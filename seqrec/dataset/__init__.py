"""Pure Spark: ratings into events, sequences and training windows."""
