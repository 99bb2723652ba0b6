"""Lokole: e-mail for places where the internet is there for a few minutes a day."""

__version__ = "1.0.0.dev0"
