"""A row of work says when a broker was last told of it; without a broker nobody reads that."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Nobody was told of anything yet. A column without a default changes no row, so programs of the version before go on meanwhile."""
    op.add_column("job", sa.Column("rung_at", sa.BigInteger(), nullable=True))
