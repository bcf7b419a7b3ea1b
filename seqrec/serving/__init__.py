"""An exported model, opened and asked for recommendations. It imports neither torch nor Spark."""
