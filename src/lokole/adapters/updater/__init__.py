"""Adapters of the port ``Updater``."""
