"""Administration and the board: names of old, what is decided for a person, who did what, what hangs on the board."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

Number = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Create the tables; nothing that is there changes."""
    op.create_table(
        "alias",
        sa.Column("tenant", Number, nullable=False),
        sa.Column("account", Number, nullable=False),
        sa.Column("target", Number, nullable=False),
        sa.ForeignKeyConstraint(["tenant"], ["tenant.no"], name=op.f("fk_alias_tenant")),
        sa.ForeignKeyConstraint(["account"], ["account.no"], name=op.f("fk_alias_account")),
        sa.ForeignKeyConstraint(["target"], ["account.no"], name=op.f("fk_alias_target")),
        sa.PrimaryKeyConstraint("account", name=op.f("pk_alias")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_alias_target", "alias", ["target"], unique=False)
    op.create_table(
        "standing",
        sa.Column("tenant", Number, nullable=False),
        sa.Column("account", Number, nullable=False),
        sa.Column("paid_until", sa.BigInteger(), nullable=True),
        sa.Column("quota_bytes", sa.BigInteger(), nullable=True),
        sa.Column("local_only", sa.Boolean(), nullable=False),
        sa.Column("listed", sa.Boolean(), nullable=False),
        sa.Column("may_post", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["tenant"], ["tenant.no"], name=op.f("fk_standing_tenant")),
        sa.ForeignKeyConstraint(["account"], ["account.no"], name=op.f("fk_standing_account")),
        sa.PrimaryKeyConstraint("account", name=op.f("pk_standing")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "audit",
        sa.Column("no", Number, nullable=False),
        sa.Column("tenant", Number, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("act", sa.String(length=40), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["tenant"], ["tenant.no"], name=op.f("fk_audit_tenant")),
        sa.PrimaryKeyConstraint("no", name=op.f("pk_audit")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_audit_tenant", "audit", ["tenant", "no"], unique=False)
    op.create_table(
        "post",
        sa.Column("tenant", Number, nullable=False),
        sa.Column("email", Number, nullable=False),
        sa.Column("account", Number, nullable=True),
        sa.Column("public", sa.Boolean(), nullable=False),
        sa.Column("pinned", sa.Boolean(), nullable=False),
        sa.Column("posted_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=True),
        sa.Column("removed", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["tenant"], ["tenant.no"], name=op.f("fk_post_tenant")),
        sa.ForeignKeyConstraint(["email"], ["email.order_no"], name=op.f("fk_post_email")),
        sa.ForeignKeyConstraint(["account"], ["account.no"], name=op.f("fk_post_account")),
        sa.PrimaryKeyConstraint("email", name=op.f("pk_post")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_post_board", "post", ["tenant", "removed", "pinned", "email"], unique=False)
