"""Ways to the internet."""
