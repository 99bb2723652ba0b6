"""Ways to ask for something on the web."""
