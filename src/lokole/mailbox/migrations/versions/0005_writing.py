"""Writing: letters kept for later, the address book, what a person has set for their letters, and which letters a machine wrote."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

Number = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Create the tables; what is there stays."""
    op.create_table(
        "automatic",
        sa.Column("tenant", Number, nullable=False),
        sa.Column("email", Number, nullable=False),
        sa.ForeignKeyConstraint(["tenant"], ["tenant.no"], name=op.f("fk_automatic_tenant")),
        sa.ForeignKeyConstraint(["email"], ["email.order_no"], name=op.f("fk_automatic_email")),
        sa.PrimaryKeyConstraint("email", name=op.f("pk_automatic")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "draft",
        sa.Column("no", Number, nullable=False),
        sa.Column("tenant", Number, nullable=False),
        sa.Column("account", Number, nullable=False),
        sa.Column("form", sa.String(length=32), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("page", sa.String(length=32), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.Column("to", sa.Text(), nullable=False),
        sa.Column("cc", sa.Text(), nullable=False),
        sa.Column("bcc", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("format", sa.String(length=4), nullable=False),
        sa.Column("action", sa.String(length=10), nullable=False),
        sa.Column("answers", Number, nullable=True),
        sa.Column("quote", sa.Boolean(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["tenant"], ["tenant.no"], name=op.f("fk_draft_tenant")),
        sa.ForeignKeyConstraint(["account"], ["account.no"], name=op.f("fk_draft_account")),
        sa.ForeignKeyConstraint(["answers"], ["email.order_no"], name=op.f("fk_draft_answers")),
        sa.PrimaryKeyConstraint("no", name=op.f("pk_draft")),
        sa.UniqueConstraint("account", "form", name=op.f("uq_draft_account_form")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_draft_list", "draft", ["account", "no"], unique=False)
    op.create_table(
        "draft_file",
        sa.Column("tenant", Number, nullable=False),
        sa.Column("draft", Number, nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("filename", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("cid", sa.Text(), nullable=True),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["tenant"], ["tenant.no"], name=op.f("fk_draft_file_tenant")),
        sa.ForeignKeyConstraint(["draft"], ["draft.no"], name=op.f("fk_draft_file_draft")),
        sa.PrimaryKeyConstraint("draft", "n", name=op.f("pk_draft_file")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_draft_file_sha256", "draft_file", ["tenant", "sha256"], unique=False)
    op.create_table(
        "contact",
        sa.Column("no", Number, nullable=False),
        sa.Column("tenant", Number, nullable=False),
        sa.Column("account", Number, nullable=False),
        sa.Column("address", sa.String(length=330), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("uses", sa.Integer(), nullable=False),
        sa.Column("by_hand", sa.Boolean(), nullable=False),
        sa.Column("removed", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["tenant"], ["tenant.no"], name=op.f("fk_contact_tenant")),
        sa.ForeignKeyConstraint(["account"], ["account.no"], name=op.f("fk_contact_account")),
        sa.PrimaryKeyConstraint("no", name=op.f("pk_contact")),
        sa.UniqueConstraint("account", "address", name=op.f("uq_contact_account_address")),
    )
    op.create_index("ix_contact_uses", "contact", ["account", "removed", "uses"], unique=False)
    op.create_table(
        "contact_group",
        sa.Column("no", Number, nullable=False),
        sa.Column("tenant", Number, nullable=False),
        sa.Column("account", Number, nullable=False),
        sa.Column("key", sa.String(length=100), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("members", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["tenant"], ["tenant.no"], name=op.f("fk_contact_group_tenant")),
        sa.ForeignKeyConstraint(["account"], ["account.no"], name=op.f("fk_contact_group_account")),
        sa.PrimaryKeyConstraint("no", name=op.f("pk_contact_group")),
        sa.UniqueConstraint("account", "key", name=op.f("uq_contact_group_account_key")),
    )
    op.create_table(
        "letter_option",
        sa.Column("tenant", Number, nullable=False),
        sa.Column("account", Number, nullable=False),
        sa.Column("signature", sa.Text(), nullable=False),
        sa.Column("answer", sa.Boolean(), nullable=False),
        sa.Column("answer_text", sa.Text(), nullable=False),
        sa.Column("answer_from", sa.String(length=10), nullable=False),
        sa.Column("answer_until", sa.String(length=10), nullable=False),
        sa.ForeignKeyConstraint(["tenant"], ["tenant.no"], name=op.f("fk_letter_option_tenant")),
        sa.ForeignKeyConstraint(["account"], ["account.no"], name=op.f("fk_letter_option_account")),
        sa.PrimaryKeyConstraint("account", name=op.f("pk_letter_option")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "answered",
        sa.Column("tenant", Number, nullable=False),
        sa.Column("account", Number, nullable=False),
        sa.Column("address", sa.String(length=330), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["tenant"], ["tenant.no"], name=op.f("fk_answered_tenant")),
        sa.ForeignKeyConstraint(["account"], ["account.no"], name=op.f("fk_answered_account")),
        sa.PrimaryKeyConstraint("account", "address", name=op.f("pk_answered")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "rule",
        sa.Column("no", Number, nullable=False),
        sa.Column("tenant", Number, nullable=False),
        sa.Column("account", Number, nullable=False),
        sa.Column("field", sa.String(length=10), nullable=False),
        sa.Column("words", sa.Text(), nullable=False),
        sa.Column("action", sa.String(length=10), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["tenant"], ["tenant.no"], name=op.f("fk_rule_tenant")),
        sa.ForeignKeyConstraint(["account"], ["account.no"], name=op.f("fk_rule_account")),
        sa.PrimaryKeyConstraint("no", name=op.f("pk_rule")),
    )
    op.create_index("ix_rule_account", "rule", ["account", "no"], unique=False)
