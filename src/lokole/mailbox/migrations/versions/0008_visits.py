"""Visits are counted: whether a box was here since a letter came is no question for a clock, which may jump."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Every box begins at 0: what waits for it now waits for one more visit; the epoch that nothing read goes."""
    op.add_column("tenant", sa.Column("visits", sa.BigInteger(), nullable=False, server_default="0"))
    op.add_column("tenant", sa.Column("heard_visits", sa.BigInteger(), nullable=False, server_default="0"))
    op.drop_column("tenant", "peer_epoch")
