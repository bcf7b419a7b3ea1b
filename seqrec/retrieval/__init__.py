"""On Spark alone: similar items, and candidates of several sources. It imports `tables`, and nothing of scoring or evaluation."""
