"""Adapters of the port ``Shrink``: pictures made smaller where a broken one cannot hurt."""
