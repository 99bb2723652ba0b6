"""The box: its schedule, its exchange, its programme."""
