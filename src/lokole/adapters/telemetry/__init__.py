"""Telling a system that draws what happens here."""
