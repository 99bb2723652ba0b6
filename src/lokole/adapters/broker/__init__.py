"""Brokers (``ports.broker``)."""
