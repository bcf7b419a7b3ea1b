"""Features and samples for rankers and two-tower models, in pure Spark."""
