"""People: a name for letters, and leaving for good."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add two columns; nothing that is there changes."""
    op.add_column("account", sa.Column("display_name", sa.String(length=100), nullable=False, server_default=""))
    op.add_column("account", sa.Column("removed_day", sa.Integer(), nullable=True))
