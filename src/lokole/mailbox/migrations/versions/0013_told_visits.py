"""What a box told is counted apart from when it could have told: a file in a carrier's pocket has told nothing yet."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Until now each visit had told all; so it stays."""
    op.add_column("tenant", sa.Column("told_visits", sa.BigInteger(), nullable=False, server_default="0"))
    op.execute("UPDATE tenant SET told_visits = visits")
