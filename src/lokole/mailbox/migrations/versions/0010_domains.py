"""What is known of a domain after its end: who did what with it; which troubles the operator has been told; counts of what happened."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

Number = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Create the tables; nothing that is there changes."""
    op.create_table(
        "domain_act",
        sa.Column("no", Number, nullable=False),
        sa.Column("domain", sa.String(length=253), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.String(length=200), nullable=False),
        sa.Column("act", sa.String(length=40), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("no", name=op.f("pk_domain_act")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_domain_act_domain", "domain_act", ["domain", "no"], unique=False)
    op.create_table(
        "alarm",
        sa.Column("key", sa.String(length=300), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_alarm")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "event_count",
        sa.Column("name", sa.String(length=60), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_event_count")),
        sqlite_with_rowid=False,
    )
