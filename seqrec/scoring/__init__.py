"""An exported model applied to every user, on Spark: `serving` inside of `tables`. It imports neither torch nor the stores."""
