"""Numbers whose calls are refused."""
