"""Settings found by trials: a space, a study of Optuna in a file, trials as processes or on Spark. Only jobs stand above it."""
