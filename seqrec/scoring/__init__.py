"""An exported model applied to every user: Spark's tasks call `serving`. It imports neither torch nor the stores."""
