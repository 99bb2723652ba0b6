"""Handing letters to the world."""
