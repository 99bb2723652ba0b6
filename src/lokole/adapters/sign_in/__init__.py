"""Signing in at somebody else's page."""
