"""A person's own folders are known at both ends: each name carries who gave it, and when in their order.

No release before wrote a folder, so the table is made anew.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

Number = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """The same table with two columns more."""
    op.drop_table("folder")
    op.create_table(
        "folder",
        sa.Column("no", Number, nullable=False),
        sa.Column("tenant", Number, nullable=False),
        sa.Column("account", Number, nullable=False),
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("lamport", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("origin", sa.String(length=64), server_default="", nullable=False),
        sa.ForeignKeyConstraint(["tenant"], ["tenant.no"], name=op.f("fk_folder_tenant")),
        sa.ForeignKeyConstraint(["account"], ["account.no"], name=op.f("fk_folder_account")),
        sa.PrimaryKeyConstraint("no", name=op.f("pk_folder")),
        sa.UniqueConstraint("account", "id", name=op.f("uq_folder_account_id")),
    )
