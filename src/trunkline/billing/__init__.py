"""What calls cost: tariffs, charges, limits of spending and their notices; ``worker`` has the periodic tasks."""
