"""Where mail leaves and comes in: addresses that letters no longer go to, and letters whose sender is proven."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

Number = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Create the tables; nothing that is there changes."""
    op.create_table(
        "suppression",
        sa.Column("tenant", Number, nullable=False),
        sa.Column("address", sa.String(length=330), nullable=False),
        sa.Column("cause", sa.String(length=20), nullable=False),
        sa.Column("said", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["tenant"], ["tenant.no"], name=op.f("fk_suppression_tenant")),
        sa.PrimaryKeyConstraint("tenant", "address", name=op.f("pk_suppression")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "proven",
        sa.Column("tenant", Number, nullable=False),
        sa.Column("email", Number, nullable=False),
        sa.ForeignKeyConstraint(["tenant"], ["tenant.no"], name=op.f("fk_proven_tenant")),
        sa.ForeignKeyConstraint(["email"], ["email.order_no"], name=op.f("fk_proven_email")),
        sa.PrimaryKeyConstraint("email", name=op.f("pk_proven")),
        sqlite_with_rowid=False,
    )
