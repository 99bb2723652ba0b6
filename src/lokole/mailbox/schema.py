"""The tables, the same on box and server, on SQLite and PostgreSQL.

Every row belongs to a tenant: the domain of a device on the server, the one domain of the box on the box.
Times are whole microseconds since 1970 in UTC (``BigInteger``), so that both engines compare them alike.
A flag is (value, lamport, origin): the highest (lamport, origin) wins on both ends, never a clock.
Tables whose key is made of several columns are stored by that key on SQLite (``WITHOUT ROWID``): one tree instead of two.
The migrations in ``mailbox/migrations`` build exactly this; a test compares the two.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# SQLite numbers rows by itself only for a column of type INTEGER.
Number = BigInteger().with_variant(Integer, "sqlite")


def _tenant() -> Column[int]:
    return Column("tenant", Number, ForeignKey("tenant.no"), nullable=False)


database_identity = Table(
    "database_identity",
    metadata,
    # one row: this database's own epoch (63 bits), renewed by a restore, and the counter that ids are made of
    Column("no", Integer, primary_key=True),
    Column("epoch", BigInteger, nullable=False),
    Column("next_letter", BigInteger, nullable=False, server_default="1"),
)

tenant = Table(
    "tenant",
    metadata,
    Column("no", Number, primary_key=True),
    Column("domain", String(253), nullable=False, unique=True),
    Column("device_id", String(64), nullable=False, unique=True),  # the wire's client_id
    Column("owner", String(200), nullable=False, server_default=""),
    Column("state", String(20), nullable=False),  # preparing, waiting (for its box), claimed, removed
    Column("claim_code", String(64)),  # one-time; gone when a box has claimed the row
    Column("v1", Boolean, nullable=False),
    Column("v1_container", String(63)),
    Column("webhook_secret", String(64), nullable=False, unique=True),
    Column("last_visit_at", BigInteger),
    # visits, a carrier's file that was handed out among them; up to which of them the box has told all that it knew;
    # and up to which all of that has been read; no clock counts here
    Column("visits", BigInteger, nullable=False, server_default="0"),
    Column("told_visits", BigInteger, nullable=False, server_default="0"),
    Column("heard_visits", BigInteger, nullable=False, server_default="0"),
    Column("created_at", BigInteger, nullable=False),
)

domain_act = Table(
    "domain_act",
    metadata,
    # who registered, claimed, handed over or deleted a domain: by its name, since this stays when its row has gone
    Column("no", Number, primary_key=True),
    Column("domain", String(253), nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("actor", String(200), nullable=False),
    Column("act", String(40), nullable=False),  # a stable word
    Column("detail", Text, nullable=False),
    Index("ix_domain_act_domain", "domain", "no"),
    sqlite_autoincrement=True,
)

alarm = Table(
    "alarm",
    metadata,
    # a trouble that the operator has been told about, until it is over
    Column("key", String(300), primary_key=True),
    Column("since", BigInteger, nullable=False),
    Column("detail", Text, nullable=False),  # JSON
    sqlite_with_rowid=False,
)

event_count = Table(
    "event_count",
    metadata,
    # how often something happened (server/counting.py); never a word of whom it concerned
    Column("name", String(60), primary_key=True),
    Column("count", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

lamport = Table(
    "lamport",
    metadata,
    # the highest number of a flag that this tenant has used or seen: what one says raises nobody else's
    Column("tenant", Number, ForeignKey("tenant.no"), primary_key=True),
    Column("last", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

credential = Table(
    "credential",
    metadata,
    Column("no", Number, primary_key=True),
    _tenant(),
    Column("public_key", LargeBinary(32), nullable=False, unique=True),
    Column("counter", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("revoked_at", BigInteger),
    Column("twin_seen_at", BigInteger),  # a wrong counter came: a possible twin
)

account = Table(
    "account",
    metadata,
    Column("no", Number, primary_key=True),
    _tenant(),
    Column("name", String(64), nullable=False),  # local part, case-folded
    Column("password_hash", String(100)),  # none outside the box without roaming
    Column("language", String(20), nullable=False, server_default="en"),
    Column("time_zone", String(64), nullable=False, server_default="UTC"),
    Column("is_admin", Boolean, nullable=False),
    Column("suspended", Boolean, nullable=False),
    Column("must_change_password", Boolean, nullable=False),
    Column("roaming", Boolean, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("sent_version", BigInteger, nullable=False),  # what the other end has acknowledged
    Column("created_at", BigInteger, nullable=False),
    Column("last_login_at", BigInteger),
    Column("login_count", Integer, nullable=False, server_default="0"),
    Column("display_name", String(100), nullable=False, server_default=""),  # as the person writes their own name
    Column("removed_day", Integer),  # the day of the box (mailbox/days.py) on which the person left for good
    UniqueConstraint("tenant", "name"),
)

way_in = Table(
    "way_in",
    metadata,
    # how somebody signs in besides with a password; never leaves this database
    _tenant(),
    Column("account", Number, ForeignKey("account.no"), primary_key=True),
    Column("kind", String(10), primary_key=True),  # pin, pictures, slip
    Column("hash", String(100), nullable=False),
    Column("day", Integer, nullable=False),  # the day of the box (mailbox/days.py) on which it was made
    sqlite_with_rowid=False,
)

alias = Table(
    "alias",
    metadata,
    # a person who became one with another: the row of the account stays for its name, whose letters go to ``target``
    _tenant(),
    Column("account", Number, ForeignKey("account.no"), primary_key=True),
    Column("target", Number, ForeignKey("account.no"), nullable=False),
    Index("ix_alias_target", "target"),
    sqlite_with_rowid=False,
)

standing = Table(
    "standing",
    metadata,
    # what an administrator has decided for a person, and whether the person is in the directory; without a row: nothing
    _tenant(),
    Column("account", Number, ForeignKey("account.no"), primary_key=True),
    Column("paid_until", BigInteger),  # after it letters go to people here only; null: no end
    Column("quota_bytes", BigInteger),  # null: no bound
    Column("local_only", Boolean, nullable=False),  # writes to people here only
    Column("listed", Boolean, nullable=False),  # said yes to being in the directory
    Column("may_post", Boolean, nullable=False),  # on the board
    sqlite_with_rowid=False,
)

audit = Table(
    "audit",
    metadata,
    # who of the administrators did what, written in the transaction that did it; the newest of each tenant
    Column("no", Number, primary_key=True),
    _tenant(),
    Column("at", BigInteger, nullable=False),
    Column("actor", Text, nullable=False),  # a name, so that it is still said when the person has gone
    Column("act", String(40), nullable=False),  # a stable word
    Column("subject", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Index("ix_audit_tenant", "tenant", "no"),
    sqlite_autoincrement=True,
)

session = Table(
    "session",
    metadata,
    Column("token_hash", LargeBinary(32), primary_key=True),
    _tenant(),
    Column("account", Number, ForeignKey("account.no"), nullable=False, index=True),
    Column("created_at", BigInteger, nullable=False),
    Column("seen_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    # what its holder is shown of it: the way in, the kind of browser, its address, and how it was before
    Column("way", String(10), nullable=False, server_default="password"),
    Column("browser", String(60), nullable=False, server_default=""),
    Column("place", String(64), nullable=False, server_default=""),
    Column("own", Boolean, nullable=False, server_default=text("true")),
    Column("before_at", BigInteger),  # the sign-in before this one
    Column("wrong_tries", Integer, nullable=False, server_default="0"),  # between the two
)

email = Table(
    "email",
    metadata,
    Column("order_no", Number, primary_key=True),  # the sequence by which lists sort, never a clock
    _tenant(),
    Column("id", LargeBinary(16), nullable=False),
    Column("received_at", BigInteger, nullable=False),
    Column("sent_at", BigInteger),
    Column("sent_at_doubtful", Boolean, nullable=False),
    Column("message_id", Text, nullable=False),
    Column("in_reply_to", Text, nullable=False),
    Column("references", Text, nullable=False),  # Message-IDs, a blank between two
    Column("conversation", String(32), nullable=False),
    Column("sender_name", Text, nullable=False),  # also in address; here so that a list needs no join
    Column("sender_address", Text, nullable=False),
    Column("recipients_line", Text, nullable=False),  # to and cc as a list shows them, never bcc
    Column("subject", Text, nullable=False),
    Column("preview", Text, nullable=False),  # the first 120 characters of the text
    Column("attachment_count", Integer, nullable=False),
    Column("raw_ref", Text),
    Column("uid", Text),  # the other end's name for it
    Column("body", Text, nullable=False),
    UniqueConstraint("tenant", "id"),
    Index("ix_email_tenant_conversation", "tenant", "conversation"),
    sqlite_autoincrement=True,
)

address = Table(
    "address",
    metadata,
    _tenant(),
    Column("email", Number, ForeignKey("email.order_no"), primary_key=True),
    Column("n", Integer, primary_key=True),
    Column("role", String(10), nullable=False),  # from, to, cc, reply_to; never bcc
    Column("name", Text, nullable=False),
    Column("address", Text, nullable=False),
    sqlite_with_rowid=False,
)

recipient = Table(
    "recipient",
    metadata,
    # one delivery state per recipient of a written letter, seen by the writer only
    _tenant(),
    Column("email", Number, ForeignKey("email.order_no"), primary_key=True),
    Column("address", Text, primary_key=True),
    Column("n", Integer, nullable=False),  # as written
    Column("account", Number, ForeignKey("account.no")),  # the writer, where the writer lives in this database
    Column("role", String(10), nullable=False),  # to, cc, bcc
    Column("name", Text, nullable=False),
    Column("envelope_id", String(64)),
    Column("state", String(20), nullable=False),
    Column("state_version", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
    Index("ix_recipient_outbox", "account", "state", "email"),
    Index("ix_recipient_address", "tenant", "address"),
    Index(
        # what came back from the world is matched by it alone (protocol 8.3)
        "ix_recipient_envelope_id",
        "envelope_id",
        unique=True,
        sqlite_where=text("envelope_id IS NOT NULL"),
        postgresql_where=text("envelope_id IS NOT NULL"),
    ),
    sqlite_with_rowid=False,
)

folder = Table(
    "folder",
    metadata,
    Column("no", Number, primary_key=True),
    _tenant(),
    Column("account", Number, ForeignKey("account.no"), nullable=False),
    Column("id", String(32), nullable=False),
    Column("name", Text, nullable=False),  # empty: taken away, kept so that an older word of it brings nothing back
    Column("lamport", BigInteger, nullable=False, server_default="0"),
    Column("origin", String(64), nullable=False, server_default=""),
    UniqueConstraint("account", "id"),
)

entry = Table(
    "entry",
    metadata,
    # a letter as one person has it; ``email`` is email.order_no, so that a list is one index range
    _tenant(),
    Column("account", Number, ForeignKey("account.no"), primary_key=True),
    Column("email", Number, ForeignKey("email.order_no"), primary_key=True),
    Column(
        "written", Boolean, nullable=False
    ),  # by this person; so a letter to oneself is in the inbox and among the sent
    Column("folder", String(32), nullable=False),
    Column("folder_lamport", BigInteger, nullable=False),
    Column("folder_origin", String(64), nullable=False),
    Column("read", Boolean, nullable=False),
    Column("read_lamport", BigInteger, nullable=False),
    Column("read_origin", String(64), nullable=False),
    Column("starred", Boolean, nullable=False),
    Column("starred_lamport", BigInteger, nullable=False),
    Column("starred_origin", String(64), nullable=False),
    Column("deleted", Boolean, nullable=False),
    Column("deleted_lamport", BigInteger, nullable=False),
    Column("deleted_origin", String(64), nullable=False),
    Index("ix_entry_list", "account", "deleted", "folder", "email"),
    Index(
        # all that a list needs of the entry: SQLite takes a partial index before the table only when it need not look there
        "ix_entry_written",
        "account",
        "deleted",
        "written",
        "email",
        "folder",
        "read",
        "starred",
        sqlite_where=text("written = 1"),
        postgresql_where=text("written"),
    ),
    Index("ix_entry_email", "email"),
    sqlite_with_rowid=False,
)

folder_count = Table(
    "folder_count",
    metadata,
    # how many letters a list holds, kept by the transaction that changes it: a page never counts 50,000 rows.
    # "sent" counts what the list of written letters shows (mailbox/entries.py, ``lists_of``).
    _tenant(),
    Column("account", Number, ForeignKey("account.no"), primary_key=True),
    Column("folder", String(32), primary_key=True),
    Column("total", Integer, nullable=False),
    Column("unread", Integer, nullable=False),
    sqlite_with_rowid=False,
)

attachment = Table(
    "attachment",
    metadata,
    _tenant(),
    Column("email", Number, ForeignKey("email.order_no"), primary_key=True),
    Column("n", Integer, primary_key=True),
    Column("filename", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("cid", Text),
    Column("sha256", String(64), nullable=False),
    Column("size", BigInteger, nullable=False),
    Index("ix_attachment_sha256", "tenant", "sha256"),
    sqlite_with_rowid=False,
)

post = Table(
    "post",
    metadata,
    # a letter that hangs on the board
    _tenant(),
    Column("email", Number, ForeignKey("email.order_no"), primary_key=True),
    Column(
        "account", Number, ForeignKey("account.no")
    ),  # who put it there; null: somebody elsewhere, proven by the server, or a service
    Column("public", Boolean, nullable=False),  # shown to everybody who opens the pages
    Column("pinned", Boolean, nullable=False),
    Column("posted_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger),  # taken down by itself; null: stays
    Column("removed", Boolean, nullable=False),
    Index("ix_post_board", "tenant", "removed", "pinned", "email"),
    sqlite_with_rowid=False,
)

package = Table(
    "package",
    metadata,
    # numbered by (tenant, epoch, direction, seq); immutable; direction is "up" (box to server) or "down"
    Column("no", Number, primary_key=True),
    _tenant(),
    Column("epoch", BigInteger, nullable=False),
    Column("direction", String(4), nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("type", Text, nullable=False),
    Column("blob", Text, nullable=False),
    Column("letters", Integer, nullable=False),
    Column(
        "state", String(20), nullable=False
    ),  # built, held (received for good), unpacked, acknowledged, withdrawn; fetched (v1, unproven)
    Column("created_at", BigInteger, nullable=False),
    Column("changed_at", BigInteger, nullable=False),
    UniqueConstraint("tenant", "epoch", "direction", "seq"),
    Index("ix_package_sha256", "tenant", "sha256"),
)

carried = Table(
    "carried",
    metadata,
    # which letters a package of version 2 carried: what its maker packed, what its taker has for good (protocol 8.5)
    _tenant(),
    Column("package", Number, ForeignKey("package.no"), primary_key=True),
    Column("record", Integer, primary_key=True),  # the number of the letter's frame, from 1
    Column("id", LargeBinary(16), nullable=False),  # the letter's name on the wire
    Column("email", Number, ForeignKey("email.order_no"), nullable=False),
    Index("ix_carried_email", "email"),
    Index("ix_carried_id", "tenant", "id"),
    sqlite_with_rowid=False,
)

outbound = Table(
    "outbound",
    metadata,
    # what goes to the other end besides letters and people: receipt, flag, request, health, told.
    # One row per (direction, kind, key): its newest version replaces one that waits or was delivered.
    Column("no", Number, primary_key=True),
    _tenant(),
    Column("direction", String(4), nullable=False),
    Column("kind", String(20), nullable=False),
    Column("key", String(300), nullable=False),
    Column("body", Text, nullable=False),  # JSON, as protocol 7 writes the record
    Column("version", BigInteger, nullable=False),
    Column("state", String(20), nullable=False),  # waiting, packed, delivered
    Column("package", Number, ForeignKey("package.no")),
    UniqueConstraint("tenant", "direction", "kind", "key"),
    Index("ix_outbound_state", "tenant", "direction", "state", "no"),
    Index("ix_outbound_package", "package"),
)

upload = Table(
    "upload",
    metadata,
    # a package of which some bytes are there (protocol 4.12); gone when it is whole, or old
    _tenant(),
    Column("sha256", String(64), nullable=False),
    Column("length", BigInteger),  # of the whole; null while nobody has said it
    Column("epoch", BigInteger, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("type", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("changed_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("tenant", "sha256"),
    sqlite_with_rowid=False,
)

upload_part = Table(
    "upload_part",
    metadata,
    # its bytes, from `offset` on: each chunk durable as it came
    _tenant(),
    Column("sha256", String(64), nullable=False),
    Column("offset", BigInteger, nullable=False),
    Column("content", LargeBinary, nullable=False),
    PrimaryKeyConstraint("tenant", "sha256", "offset"),
)

waiting = Table(
    "waiting",
    metadata,
    # a letter on its way to the other end; "delivered" once the other end has acknowledged the package that carries it
    _tenant(),
    Column("email", Number, ForeignKey("email.order_no"), primary_key=True),
    Column(
        "recipient", Text, primary_key=True, server_default=""
    ),  # "" is one record for all; an address is a v1 record of their own
    Column("direction", String(4), nullable=False),
    Column("state", String(20), nullable=False),  # waiting, packed, delivered
    Column("package", Number, ForeignKey("package.no")),
    Index("ix_waiting_state", "tenant", "direction", "state", "email"),
    Index("ix_waiting_package", "package"),
    sqlite_with_rowid=False,
)

envelope = Table(
    "envelope",
    metadata,
    # whom the envelope of an incoming letter addressed at this tenant
    _tenant(),
    Column("email", Number, ForeignKey("email.order_no"), primary_key=True),
    Column("address", Text, primary_key=True),
    Column("state", String(20), nullable=False),  # delivered, unknown (no such person yet), dead
    Index(
        "ix_envelope_unknown",
        "tenant",
        "email",
        sqlite_where=text("state = 'unknown'"),
        postgresql_where=text("state = 'unknown'"),
    ),
    sqlite_with_rowid=False,
)

seen = Table(
    "seen",
    metadata,
    # what came before: (kind, key) such as ("incoming", sha256(raw) + recipient) or ("uid", the device's uid)
    Column("tenant", Number, ForeignKey("tenant.no"), primary_key=True),
    Column("kind", String(20), primary_key=True),
    Column("key", String(200), primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column("email", Number),
    sqlite_with_rowid=False,
)

quarantine = Table(
    "quarantine",
    metadata,
    Column("no", Number, primary_key=True),
    Column(
        "tenant", Number, ForeignKey("tenant.no")
    ),  # null: nobody's (an unknown domain, a letter without recipient here)
    Column("kind", String(20), nullable=False),  # mime, package, record, webhook, dead-letter, unknown, told, provider
    Column("source", Text, nullable=False),  # where it came from, without a word of its content
    Column("reason", Text, nullable=False),
    Column("raw_ref", Text),
    Column("at", BigInteger, nullable=False),
    Column("resolved_at", BigInteger),
    Column("key", String(200), nullable=False, unique=True),  # so that a repeat is one row
    Index("ix_quarantine_tenant", "tenant", "no"),
)

job = Table(
    "job",
    metadata,
    Column("no", Number, primary_key=True),
    Column("tenant", Number, ForeignKey("tenant.no")),
    Column("kind", String(40), nullable=False),
    Column("key", String(200), nullable=False),
    Column("ids", Text, nullable=False),  # JSON object, ids only
    Column("run_after", BigInteger, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("asked", Integer, nullable=False),  # how often it was queued: more than when it was leased means once more
    Column("lease_token", String(32)),
    Column("lease_until", BigInteger),
    Column("rung_at", BigInteger),  # when a broker was told of it, where there is one; None: not since it became due
    Column("state", String(10), nullable=False),  # ready, done, dead
    Column("error", Text, nullable=False),  # type of the failure and its place, never content
    Column("created_at", BigInteger, nullable=False),
    UniqueConstraint("kind", "key"),
    Index("ix_job_ready", "state", "run_after"),
    Index("ix_job_tenant", "tenant"),
)

limit_count = Table(
    "limit_count",
    metadata,
    Column("key", String(200), primary_key=True),
    Column("count", Integer, nullable=False),
    Column("expires_at", BigInteger, nullable=False, index=True),
    sqlite_with_rowid=False,
)

option = Table(
    "option",
    metadata,
    # what an administrator edits in the browser: data, not a rewritten file
    Column("tenant", Number, ForeignKey("tenant.no"), primary_key=True),
    Column("name", String(60), primary_key=True),
    Column("value", Text, nullable=False),  # JSON
    sqlite_with_rowid=False,
)

visit = Table(
    "visit",
    metadata,
    # one meeting of device and server, as either end saw it
    Column("no", Number, primary_key=True),
    _tenant(),
    Column("started_at", BigInteger, nullable=False),
    Column("ended_at", BigInteger),
    Column("letters_up", Integer, nullable=False),
    Column("letters_down", Integer, nullable=False),
    Column("bytes_up", BigInteger, nullable=False),
    Column("bytes_down", BigInteger, nullable=False),
    Column("quarantined", Integer, nullable=False),
    Column("result", Text, nullable=False),  # running, ok, or a stable word for what failed
    Index("ix_visit_tenant", "tenant", "no"),
)

secret = Table(
    "secret",
    metadata,
    # this installation's own secrets, made at its first start: the box's key pair, the key of its sessions
    Column("name", String(60), primary_key=True),
    Column("value", LargeBinary, nullable=False),
)

automatic = Table(
    "automatic",
    metadata,
    # letters that a machine or a list wrote (RFC 3834): nothing answers them or passes them on by itself
    _tenant(),
    Column("email", Number, ForeignKey("email.order_no"), primary_key=True),
    sqlite_with_rowid=False,
)

proven = Table(
    "proven",
    metadata,
    # letters from elsewhere whose sender SPF or DKIM has proven to the server (ADR 17)
    _tenant(),
    Column("email", Number, ForeignKey("email.order_no"), primary_key=True),
    sqlite_with_rowid=False,
)

greylisted = Table(
    "greylisted",
    metadata,
    # who was put off at the first try by SMTP; ``key`` is a digest of the network, the sender and the recipient
    Column("tenant", Number, ForeignKey("tenant.no"), primary_key=True),
    Column("key", String(64), primary_key=True),
    Column("first_at", BigInteger, nullable=False),
    Column("last_at", BigInteger, nullable=False),
    Column("passed", Boolean, nullable=False),
    Index("ix_greylisted_last_at", "last_at"),
    sqlite_with_rowid=False,
)

suppression = Table(
    "suppression",
    metadata,
    # addresses in the world that letters of this tenant no longer go to, until an operator lifts it
    Column("tenant", Number, ForeignKey("tenant.no"), primary_key=True),
    Column("address", String(330), primary_key=True),  # as it is compared
    Column("cause", String(20), nullable=False),  # bounce, complaint, unsubscribed
    Column("said", Text, nullable=False),  # by the other side
    Column("at", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

draft = Table(
    "draft",
    metadata,
    # a letter being written, as its form was last kept; ``form`` is the number of the form, by which it is sent once only
    Column("no", Number, primary_key=True),
    _tenant(),
    Column("account", Number, ForeignKey("account.no"), nullable=False),
    Column("form", String(32), nullable=False),
    Column("version", BigInteger, nullable=False),  # so that two windows do not overwrite each other
    Column("page", String(32), nullable=False),  # the window that kept it last
    Column("changed_at", BigInteger, nullable=False),
    Column("to", Text, nullable=False),  # as typed, mistakes and all
    Column("cc", Text, nullable=False),
    Column("bcc", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("format", String(4), nullable=False),  # text, html
    Column("action", String(10), nullable=False),  # reply, reply_all, forward, again, or nothing
    Column("answers", Number, ForeignKey("email.order_no")),
    Column("quote", Boolean, nullable=False),
    Column("body", Text, nullable=False),
    UniqueConstraint("account", "form"),
    Index("ix_draft_list", "account", "no"),
    sqlite_autoincrement=True,
)

draft_file = Table(
    "draft_file",
    metadata,
    # the files of a draft: named here, so that their bytes stay
    _tenant(),
    Column("draft", Number, ForeignKey("draft.no"), primary_key=True),
    Column("n", Integer, primary_key=True),
    Column("filename", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("cid", Text),
    Column("sha256", String(64), nullable=False),
    Column("size", BigInteger, nullable=False),
    Index("ix_draft_file_sha256", "tenant", "sha256"),
    sqlite_with_rowid=False,
)

contact = Table(
    "contact",
    metadata,
    # a person's address book: learned from their letters, mended by hand
    Column("no", Number, primary_key=True),
    _tenant(),
    Column("account", Number, ForeignKey("account.no"), nullable=False),
    Column("address", String(330), nullable=False),  # as it is compared
    Column("name", Text, nullable=False),
    Column("uses", Integer, nullable=False),  # how often this person wrote there
    Column("by_hand", Boolean, nullable=False),  # then no letter changes the name
    Column("removed", Boolean, nullable=False),  # by hand: only writing there brings it back
    UniqueConstraint("account", "address"),
    Index("ix_contact_uses", "account", "removed", "uses"),
)

contact_group = Table(
    "contact_group",
    metadata,
    # one name for many addresses
    Column("no", Number, primary_key=True),
    _tenant(),
    Column("account", Number, ForeignKey("account.no"), nullable=False),
    Column("key", String(100), nullable=False),  # the name as it is compared
    Column("name", String(100), nullable=False),
    Column("members", Text, nullable=False),  # addresses, a comma between two
    UniqueConstraint("account", "key"),
)

letter_option = Table(
    "letter_option",
    metadata,
    # what a person has set for their letters: one row each
    _tenant(),
    Column("account", Number, ForeignKey("account.no"), primary_key=True),
    Column("signature", Text, nullable=False),
    Column("answer", Boolean, nullable=False),  # while away
    Column("answer_text", Text, nullable=False),
    Column("answer_from", String(10), nullable=False),  # days as YYYY-MM-DD, or nothing
    Column("answer_until", String(10), nullable=False),
    sqlite_with_rowid=False,
)

answered = Table(
    "answered",
    metadata,
    # who had the answer of somebody who is away, so that nobody gets it every day
    _tenant(),
    Column("account", Number, ForeignKey("account.no"), primary_key=True),
    Column("address", String(330), primary_key=True),
    Column("at", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

rule = Table(
    "rule",
    metadata,
    # what happens to a letter that arrives: when ``field`` contains ``words``, ``action``
    Column("no", Number, primary_key=True),
    _tenant(),
    Column("account", Number, ForeignKey("account.no"), nullable=False),
    Column("field", String(10), nullable=False),  # from, to, subject
    Column("words", Text, nullable=False),
    Column("action", String(10), nullable=False),  # move, star, forward
    Column("target", Text, nullable=False),  # the id of a folder, an address, or nothing
    Index("ix_rule_account", "account", "no"),
)

# Full text is not in the metadata: FTS5 and tsvector differ; ``mailbox/search.py`` and the first migration own it.
