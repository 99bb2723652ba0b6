"""Who was put off at the first try; and whether somebody here wrote to an address is found without reading every letter."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

Number = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Create the table and the index; nothing that is there changes."""
    op.create_table(
        "greylisted",
        sa.Column("tenant", Number, nullable=False),
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("first_at", sa.BigInteger(), nullable=False),
        sa.Column("last_at", sa.BigInteger(), nullable=False),
        sa.Column("passed", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["tenant"], ["tenant.no"], name=op.f("fk_greylisted_tenant")),
        sa.PrimaryKeyConstraint("tenant", "key", name=op.f("pk_greylisted")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_greylisted_last_at", "greylisted", ["last_at"], unique=False)
    op.create_index("ix_recipient_address", "recipient", ["tenant", "address"], unique=False)
