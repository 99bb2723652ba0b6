"""Version 2 of the protocol: what packages carried, what goes besides letters, uploads that are not whole, the way back from the world."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

Number = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Create the tables; nothing that is there changes."""
    op.create_table(
        "carried",
        sa.Column("tenant", Number, nullable=False),
        sa.Column("package", Number, nullable=False),
        sa.Column("record", sa.Integer(), nullable=False),
        sa.Column("id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("email", Number, nullable=False),
        sa.ForeignKeyConstraint(["tenant"], ["tenant.no"], name=op.f("fk_carried_tenant")),
        sa.ForeignKeyConstraint(["package"], ["package.no"], name=op.f("fk_carried_package")),
        sa.ForeignKeyConstraint(["email"], ["email.order_no"], name=op.f("fk_carried_email")),
        sa.PrimaryKeyConstraint("package", "record", name=op.f("pk_carried")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_carried_email", "carried", ["email"], unique=False)
    op.create_index("ix_carried_id", "carried", ["tenant", "id"], unique=False)
    op.create_table(
        "outbound",
        sa.Column("no", Number, nullable=False),
        sa.Column("tenant", Number, nullable=False),
        sa.Column("direction", sa.String(length=4), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("key", sa.String(length=300), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("package", Number, nullable=True),
        sa.ForeignKeyConstraint(["tenant"], ["tenant.no"], name=op.f("fk_outbound_tenant")),
        sa.ForeignKeyConstraint(["package"], ["package.no"], name=op.f("fk_outbound_package")),
        sa.PrimaryKeyConstraint("no", name=op.f("pk_outbound")),
        sa.UniqueConstraint("tenant", "direction", "kind", "key", name=op.f("uq_outbound_tenant_direction_kind_key")),
    )
    op.create_index("ix_outbound_state", "outbound", ["tenant", "direction", "state", "no"], unique=False)
    op.create_index("ix_outbound_package", "outbound", ["package"], unique=False)
    op.create_table(
        "upload",
        sa.Column("tenant", Number, nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("length", sa.BigInteger(), nullable=True),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["tenant"], ["tenant.no"], name=op.f("fk_upload_tenant")),
        sa.PrimaryKeyConstraint("tenant", "sha256", name=op.f("pk_upload")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "upload_part",
        sa.Column("tenant", Number, nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("offset", sa.BigInteger(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["tenant"], ["tenant.no"], name=op.f("fk_upload_part_tenant")),
        sa.PrimaryKeyConstraint("tenant", "sha256", "offset", name=op.f("pk_upload_part")),
    )
    op.create_index(
        "ix_recipient_envelope_id",
        "recipient",
        ["envelope_id"],
        unique=True,
        sqlite_where=sa.text("envelope_id IS NOT NULL"),
        postgresql_where=sa.text("envelope_id IS NOT NULL"),
    )
