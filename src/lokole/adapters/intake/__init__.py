"""How mail from outside comes to us."""
