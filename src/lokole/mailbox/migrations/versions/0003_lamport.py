"""Each tenant counts the changes of its flags by itself: what one says raises nobody else's lamports (protocol 8.4)."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

Number = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Every tenant goes on from what the whole database has counted."""
    op.create_table(
        "lamport",
        sa.Column("tenant", Number, nullable=False),
        sa.Column("last", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["tenant"], ["tenant.no"], name=op.f("fk_lamport_tenant")),
        sa.PrimaryKeyConstraint("tenant", name=op.f("pk_lamport")),
        sqlite_with_rowid=False,
    )
    op.execute("INSERT INTO lamport (tenant, last) SELECT t.no, i.lamport FROM tenant t, database_identity i")
    op.drop_column("database_identity", "lamport")
