"""People: ways to sign in, what a session shows of itself, a name for letters, and leaving for good."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

Number = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Add columns and a table; nothing that is there changes."""
    op.add_column("account", sa.Column("display_name", sa.String(length=100), nullable=False, server_default=""))
    op.add_column("account", sa.Column("removed_day", sa.Integer(), nullable=True))
    for column in (
        sa.Column("way", sa.String(length=10), nullable=False, server_default="password"),
        sa.Column("browser", sa.String(length=60), nullable=False, server_default=""),
        sa.Column("place", sa.String(length=64), nullable=False, server_default=""),
        sa.Column("own", sa.Boolean(), nullable=False, server_default=sa.text("true")),
        sa.Column("before_at", sa.BigInteger(), nullable=True),
        sa.Column("wrong_tries", sa.Integer(), nullable=False, server_default="0"),
    ):
        op.add_column("session", column)
    op.create_table(
        "way_in",
        sa.Column("tenant", Number, nullable=False),
        sa.Column("account", Number, nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("hash", sa.String(length=100), nullable=False),
        sa.Column("day", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["tenant"], ["tenant.no"], name=op.f("fk_way_in_tenant")),
        sa.ForeignKeyConstraint(["account"], ["account.no"], name=op.f("fk_way_in_account")),
        sa.PrimaryKeyConstraint("account", "kind", name=op.f("pk_way_in")),
        sqlite_with_rowid=False,
    )
