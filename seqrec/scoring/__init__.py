"""An exported model applied to every user, on Spark."""
