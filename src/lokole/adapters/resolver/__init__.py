"""Asking the world's DNS."""
