"""Running it: logs and the start-up table."""
