"""Lists put into another order by rules: diversity, caps, quotas and boosts. NumPy alone; it loads neither Spark nor torch."""
