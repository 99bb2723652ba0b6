"""The mail records of domains."""
