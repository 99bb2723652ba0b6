"""The first schema: everything in ``mailbox/schema.py``, and the full text index, which is not in the metadata."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

Number = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Create all tables and the full text index."""
    _create_tables()
    if op.get_bind().dialect.name == "sqlite":
        # words only, no positions and no copy of the text; "@7" names account 7 as a holder
        op.execute(
            "CREATE VIRTUAL TABLE letter_words USING fts5("
            "words, content='', columnsize=0, detail=none, tokenize=\"ascii tokenchars '@'\")"
        )
    else:
        op.execute(
            "CREATE TABLE letter_words ("
            "email BIGINT NOT NULL CONSTRAINT pk_letter_words PRIMARY KEY"
            " CONSTRAINT fk_letter_words_email REFERENCES email (order_no), words TSVECTOR NOT NULL)"
        )
        op.execute("CREATE INDEX ix_letter_words_words ON letter_words USING gin (words)")


def _create_tables() -> None:
    op.create_table(
        "database_identity",
        sa.Column("no", sa.Integer(), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("next_letter", sa.BigInteger(), server_default="1", nullable=False),
        sa.Column("lamport", sa.BigInteger(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("no", name=op.f("pk_database_identity")),
    )
    op.create_table(
        "limit_count",
        sa.Column("key", sa.String(length=200), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_limit_count")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_limit_count_expires_at"), "limit_count", ["expires_at"], unique=False)
    op.create_table(
        "secret",
        sa.Column("name", sa.String(length=60), nullable=False),
        sa.Column("value", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_secret")),
    )
    op.create_table(
        "tenant",
        sa.Column("no", Number, nullable=False),
        sa.Column("domain", sa.String(length=253), nullable=False),
        sa.Column("device_id", sa.String(length=64), nullable=False),
        sa.Column("owner", sa.String(length=200), server_default="", nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("claim_code", sa.String(length=64), nullable=True),
        sa.Column("v1", sa.Boolean(), nullable=False),
        sa.Column("v1_container", sa.String(length=63), nullable=True),
        sa.Column("webhook_secret", sa.String(length=64), nullable=False),
        sa.Column("peer_epoch", sa.BigInteger(), nullable=True),
        sa.Column("last_visit_at", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("no", name=op.f("pk_tenant")),
        sa.UniqueConstraint("device_id", name=op.f("uq_tenant_device_id")),
        sa.UniqueConstraint("domain", name=op.f("uq_tenant_domain")),
        sa.UniqueConstraint("webhook_secret", name=op.f("uq_tenant_webhook_secret")),
    )
    op.create_table(
        "account",
        sa.Column("no", Number, nullable=False),
        sa.Column("tenant", Number, nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("password_hash", sa.String(length=100), nullable=True),
        sa.Column("language", sa.String(length=20), server_default="en", nullable=False),
        sa.Column("time_zone", sa.String(length=64), server_default="UTC", nullable=False),
        sa.Column("is_admin", sa.Boolean(), nullable=False),
        sa.Column("suspended", sa.Boolean(), nullable=False),
        sa.Column("must_change_password", sa.Boolean(), nullable=False),
        sa.Column("roaming", sa.Boolean(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("sent_version", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("last_login_at", sa.BigInteger(), nullable=True),
        sa.Column("login_count", sa.Integer(), server_default="0", nullable=False),
        sa.ForeignKeyConstraint(["tenant"], ["tenant.no"], name=op.f("fk_account_tenant")),
        sa.PrimaryKeyConstraint("no", name=op.f("pk_account")),
        sa.UniqueConstraint("tenant", "name", name=op.f("uq_account_tenant_name")),
    )
    op.create_table(
        "credential",
        sa.Column("no", Number, nullable=False),
        sa.Column("tenant", Number, nullable=False),
        sa.Column("public_key", sa.LargeBinary(length=32), nullable=False),
        sa.Column("counter", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        sa.Column("twin_seen_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["tenant"], ["tenant.no"], name=op.f("fk_credential_tenant")),
        sa.PrimaryKeyConstraint("no", name=op.f("pk_credential")),
        sa.UniqueConstraint("public_key", name=op.f("uq_credential_public_key")),
    )
    op.create_table(
        "email",
        sa.Column("order_no", Number, nullable=False),
        sa.Column("tenant", Number, nullable=False),
        sa.Column("id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.Column("sent_at", sa.BigInteger(), nullable=True),
        sa.Column("sent_at_doubtful", sa.Boolean(), nullable=False),
        sa.Column("message_id", sa.Text(), nullable=False),
        sa.Column("in_reply_to", sa.Text(), nullable=False),
        sa.Column("references", sa.Text(), nullable=False),
        sa.Column("conversation", sa.String(length=32), nullable=False),
        sa.Column("sender_name", sa.Text(), nullable=False),
        sa.Column("sender_address", sa.Text(), nullable=False),
        sa.Column("recipients_line", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("preview", sa.Text(), nullable=False),
        sa.Column("attachment_count", sa.Integer(), nullable=False),
        sa.Column("raw_ref", sa.Text(), nullable=True),
        sa.Column("uid", sa.Text(), nullable=True),
        sa.Column("body", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["tenant"], ["tenant.no"], name=op.f("fk_email_tenant")),
        sa.PrimaryKeyConstraint("order_no", name=op.f("pk_email")),
        sa.UniqueConstraint("tenant", "id", name=op.f("uq_email_tenant_id")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_email_tenant_conversation", "email", ["tenant", "conversation"], unique=False)
    op.create_table(
        "job",
        sa.Column("no", Number, nullable=False),
        sa.Column("tenant", Number, nullable=True),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("key", sa.String(length=200), nullable=False),
        sa.Column("ids", sa.Text(), nullable=False),
        sa.Column("run_after", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("asked", sa.Integer(), nullable=False),
        sa.Column("lease_token", sa.String(length=32), nullable=True),
        sa.Column("lease_until", sa.BigInteger(), nullable=True),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["tenant"], ["tenant.no"], name=op.f("fk_job_tenant")),
        sa.PrimaryKeyConstraint("no", name=op.f("pk_job")),
        sa.UniqueConstraint("kind", "key", name=op.f("uq_job_kind_key")),
    )
    op.create_index("ix_job_ready", "job", ["state", "run_after"], unique=False)
    op.create_index("ix_job_tenant", "job", ["tenant"], unique=False)
    op.create_table(
        "option",
        sa.Column("tenant", Number, nullable=False),
        sa.Column("name", sa.String(length=60), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["tenant"], ["tenant.no"], name=op.f("fk_option_tenant")),
        sa.PrimaryKeyConstraint("tenant", "name", name=op.f("pk_option")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "package",
        sa.Column("no", Number, nullable=False),
        sa.Column("tenant", Number, nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("direction", sa.String(length=4), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("blob", sa.Text(), nullable=False),
        sa.Column("letters", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["tenant"], ["tenant.no"], name=op.f("fk_package_tenant")),
        sa.PrimaryKeyConstraint("no", name=op.f("pk_package")),
        sa.UniqueConstraint("tenant", "epoch", "direction", "seq", name=op.f("uq_package_tenant_epoch_direction_seq")),
    )
    op.create_index("ix_package_sha256", "package", ["tenant", "sha256"], unique=False)
    op.create_table(
        "quarantine",
        sa.Column("no", Number, nullable=False),
        sa.Column("tenant", Number, nullable=True),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("raw_ref", sa.Text(), nullable=True),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("resolved_at", sa.BigInteger(), nullable=True),
        sa.Column("key", sa.String(length=200), nullable=False),
        sa.ForeignKeyConstraint(["tenant"], ["tenant.no"], name=op.f("fk_quarantine_tenant")),
        sa.PrimaryKeyConstraint("no", name=op.f("pk_quarantine")),
        sa.UniqueConstraint("key", name=op.f("uq_quarantine_key")),
    )
    op.create_index("ix_quarantine_tenant", "quarantine", ["tenant", "no"], unique=False)
    op.create_table(
        "seen",
        sa.Column("tenant", Number, nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("key", sa.String(length=200), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("email", Number, nullable=True),
        sa.ForeignKeyConstraint(["tenant"], ["tenant.no"], name=op.f("fk_seen_tenant")),
        sa.PrimaryKeyConstraint("tenant", "kind", "key", name=op.f("pk_seen")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "visit",
        sa.Column("no", Number, nullable=False),
        sa.Column("tenant", Number, nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("letters_up", sa.Integer(), nullable=False),
        sa.Column("letters_down", sa.Integer(), nullable=False),
        sa.Column("bytes_up", sa.BigInteger(), nullable=False),
        sa.Column("bytes_down", sa.BigInteger(), nullable=False),
        sa.Column("quarantined", sa.Integer(), nullable=False),
        sa.Column("result", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["tenant"], ["tenant.no"], name=op.f("fk_visit_tenant")),
        sa.PrimaryKeyConstraint("no", name=op.f("pk_visit")),
    )
    op.create_index("ix_visit_tenant", "visit", ["tenant", "no"], unique=False)
    op.create_table(
        "address",
        sa.Column("tenant", Number, nullable=False),
        sa.Column("email", Number, nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("role", sa.String(length=10), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["email"], ["email.order_no"], name=op.f("fk_address_email")),
        sa.ForeignKeyConstraint(["tenant"], ["tenant.no"], name=op.f("fk_address_tenant")),
        sa.PrimaryKeyConstraint("email", "n", name=op.f("pk_address")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "attachment",
        sa.Column("tenant", Number, nullable=False),
        sa.Column("email", Number, nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("filename", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("cid", sa.Text(), nullable=True),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["email"], ["email.order_no"], name=op.f("fk_attachment_email")),
        sa.ForeignKeyConstraint(["tenant"], ["tenant.no"], name=op.f("fk_attachment_tenant")),
        sa.PrimaryKeyConstraint("email", "n", name=op.f("pk_attachment")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_attachment_sha256", "attachment", ["tenant", "sha256"], unique=False)
    op.create_table(
        "entry",
        sa.Column("tenant", Number, nullable=False),
        sa.Column("account", Number, nullable=False),
        sa.Column("email", Number, nullable=False),
        sa.Column("written", sa.Boolean(), nullable=False),
        sa.Column("folder", sa.String(length=32), nullable=False),
        sa.Column("folder_lamport", sa.BigInteger(), nullable=False),
        sa.Column("folder_origin", sa.String(length=64), nullable=False),
        sa.Column("read", sa.Boolean(), nullable=False),
        sa.Column("read_lamport", sa.BigInteger(), nullable=False),
        sa.Column("read_origin", sa.String(length=64), nullable=False),
        sa.Column("starred", sa.Boolean(), nullable=False),
        sa.Column("starred_lamport", sa.BigInteger(), nullable=False),
        sa.Column("starred_origin", sa.String(length=64), nullable=False),
        sa.Column("deleted", sa.Boolean(), nullable=False),
        sa.Column("deleted_lamport", sa.BigInteger(), nullable=False),
        sa.Column("deleted_origin", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(["account"], ["account.no"], name=op.f("fk_entry_account")),
        sa.ForeignKeyConstraint(["email"], ["email.order_no"], name=op.f("fk_entry_email")),
        sa.ForeignKeyConstraint(["tenant"], ["tenant.no"], name=op.f("fk_entry_tenant")),
        sa.PrimaryKeyConstraint("account", "email", name=op.f("pk_entry")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_entry_email", "entry", ["email"], unique=False)
    op.create_index("ix_entry_list", "entry", ["account", "deleted", "folder", "email"], unique=False)
    op.create_index(
        "ix_entry_written",
        "entry",
        ["account", "deleted", "written", "email", "folder", "read", "starred"],
        unique=False,
        sqlite_where=sa.text("written = 1"),
        postgresql_where=sa.text("written"),
    )
    op.create_table(
        "envelope",
        sa.Column("tenant", Number, nullable=False),
        sa.Column("email", Number, nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.ForeignKeyConstraint(["email"], ["email.order_no"], name=op.f("fk_envelope_email")),
        sa.ForeignKeyConstraint(["tenant"], ["tenant.no"], name=op.f("fk_envelope_tenant")),
        sa.PrimaryKeyConstraint("email", "address", name=op.f("pk_envelope")),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "ix_envelope_unknown",
        "envelope",
        ["tenant", "email"],
        unique=False,
        sqlite_where=sa.text("state = 'unknown'"),
        postgresql_where=sa.text("state = 'unknown'"),
    )
    op.create_table(
        "folder",
        sa.Column("no", Number, nullable=False),
        sa.Column("tenant", Number, nullable=False),
        sa.Column("account", Number, nullable=False),
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["account"], ["account.no"], name=op.f("fk_folder_account")),
        sa.ForeignKeyConstraint(["tenant"], ["tenant.no"], name=op.f("fk_folder_tenant")),
        sa.PrimaryKeyConstraint("no", name=op.f("pk_folder")),
        sa.UniqueConstraint("account", "id", name=op.f("uq_folder_account_id")),
    )
    op.create_table(
        "folder_count",
        sa.Column("tenant", Number, nullable=False),
        sa.Column("account", Number, nullable=False),
        sa.Column("folder", sa.String(length=32), nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("unread", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["account"], ["account.no"], name=op.f("fk_folder_count_account")),
        sa.ForeignKeyConstraint(["tenant"], ["tenant.no"], name=op.f("fk_folder_count_tenant")),
        sa.PrimaryKeyConstraint("account", "folder", name=op.f("pk_folder_count")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "recipient",
        sa.Column("tenant", Number, nullable=False),
        sa.Column("email", Number, nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("account", Number, nullable=True),
        sa.Column("role", sa.String(length=10), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("envelope_id", sa.String(length=64), nullable=True),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("state_version", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["account"], ["account.no"], name=op.f("fk_recipient_account")),
        sa.ForeignKeyConstraint(["email"], ["email.order_no"], name=op.f("fk_recipient_email")),
        sa.ForeignKeyConstraint(["tenant"], ["tenant.no"], name=op.f("fk_recipient_tenant")),
        sa.PrimaryKeyConstraint("email", "address", name=op.f("pk_recipient")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_recipient_outbox", "recipient", ["account", "state", "email"], unique=False)
    op.create_table(
        "session",
        sa.Column("token_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("tenant", Number, nullable=False),
        sa.Column("account", Number, nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["account"], ["account.no"], name=op.f("fk_session_account")),
        sa.ForeignKeyConstraint(["tenant"], ["tenant.no"], name=op.f("fk_session_tenant")),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_session")),
    )
    op.create_index(op.f("ix_session_account"), "session", ["account"], unique=False)
    op.create_table(
        "waiting",
        sa.Column("tenant", Number, nullable=False),
        sa.Column("email", Number, nullable=False),
        sa.Column("recipient", sa.Text(), server_default="", nullable=False),
        sa.Column("direction", sa.String(length=4), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("package", Number, nullable=True),
        sa.ForeignKeyConstraint(["email"], ["email.order_no"], name=op.f("fk_waiting_email")),
        sa.ForeignKeyConstraint(["package"], ["package.no"], name=op.f("fk_waiting_package")),
        sa.ForeignKeyConstraint(["tenant"], ["tenant.no"], name=op.f("fk_waiting_tenant")),
        sa.PrimaryKeyConstraint("email", "recipient", name=op.f("pk_waiting")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_waiting_package", "waiting", ["package"], unique=False)
    op.create_index("ix_waiting_state", "waiting", ["tenant", "direction", "state", "email"], unique=False)
