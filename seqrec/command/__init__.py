"""What every command does first and last: its settings, its environment, its Spark session, its errors on one line."""
