"""Other ends of an exchange."""
