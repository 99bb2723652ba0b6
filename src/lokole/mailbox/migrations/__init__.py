"""Alembic's script folder, inside the package so that an installed wheel can migrate its database."""
