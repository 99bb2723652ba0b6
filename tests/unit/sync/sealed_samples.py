"""Keys, headers and records that the tests of sealed packages share."""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime

from lokole.mail.errors import BadPackage
from lokole.mail.model import Attachment, Contact, DeliveryState, Email, EmailId
from lokole.sync.container import Header, PayloadKind, open_sealed, seal
from lokole.sync.records import (
    AccountRecord,
    AckRecord,
    AnyRecord,
    AttachmentRecord,
    DigestRecord,
    EmailRecord,
    EntryState,
    FlagRecord,
    HealthRecord,
    PackageDigest,
    ReceiptRecord,
    RequestRecord,
    ToldRecord,
    UnknownRecord,
    Window,
)
from lokole.sync.signing import public_key

BOX, SERVER, OTHER = bytes(range(32)), bytes(range(32, 64)), bytes(range(128, 160))
BOX_PUBLIC, SERVER_PUBLIC, OTHER_PUBLIC = map(public_key, (BOX, SERVER, OTHER))
RANDOM = bytes(range(64, 96))
DEVICE = "6f1c1a52-6f0c-4d5e-9d43-5b6a7b8c9d0e"
HEADER = Header("up", "village.lokole.ca", DEVICE, 7, 300, PayloadKind.GZ)

EMAIL = Email(
    Contact("ann@village.lokole.ca", "Ann"),
    to=(Contact("bob@example.com"),),
    subject="hé",
    body="<p>x</p>",
    attachments=(Attachment("a.txt", b"hello", "text/plain"), Attachment("b", b"", cid="1")),
    sent_at=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
)
LETTER = EmailRecord("ab" * 16, EMAIL, entries=(EntryState("ann", "sent", written=True),))
ID = EmailId(bytes(range(16)))
#: One of each kind.
RECORDS: list[AnyRecord] = [
    LETTER,
    EmailRecord("cd" * 16, replace(EMAIL, attachments=(), sent_at_doubtful=True)),
    AttachmentRecord("u", Attachment("f", b"zz"), ("ab" * 16,)),
    AccountRecord("ann@village.lokole.ca", None, "fr", 3),
    ReceiptRecord(
        ID, "b@c.d", DeliveryState.REFUSED, 3, "5.1.1", "no such user", datetime(2026, 1, 2, tzinfo=UTC), b"print-of"
    ),
    FlagRecord(ID, "ann", "read", True, 7, "server"),
    FlagRecord(ID, "ann", "folder", "archive", 8, DEVICE),
    RequestRecord("rest", "1", {"parts": [1, {"n": None}]}),
    HealthRecord({"disk": 5}),
    AckRecord(7, 3, (5, 6), bytes(range(8))),
    DigestRecord(
        (Window("up", 7, 1, 3),), 4, bytes(range(16)), (PackageDigest("up", 7, 1, 4, bytes(16), b"8 bytes."),)
    ),
    ToldRecord("0f" * 32, 2, "malformed", "the line is not JSON"),
    UnknownRecord(99, b"of a later version"),
]


def sealed(
    payload: bytes | Iterable[bytes] = b"payload",
    header: Header = HEADER,
    *,
    sender: bytes = BOX,
    to: bytes = SERVER_PUBLIC,
    random: bytes = RANDOM,
) -> bytes:
    """A sealed package."""
    out = io.BytesIO()
    pieces = [payload] if isinstance(payload, bytes) else payload
    seal(out, header, pieces, sender_seed=sender, recipient_public=to, entropy=lambda _n: random)
    return out.getvalue()


def opened(data: bytes, *, by: bytes = SERVER, sender: bytes | None = BOX_PUBLIC) -> tuple[Header, bytes]:
    """Header and payload of ``data``; raises BadPackage."""
    found = open_sealed(io.BytesIO(data), recipient_seed=by, sender_public=lambda _header: sender)
    return found.header, found.payload.read()


def refusal(data: bytes, *, by: bytes = SERVER, sender: bytes | None = BOX_PUBLIC) -> str:
    """The word that ``data`` is refused with; "taken" when it is not."""
    try:
        opened(data, by=by, sender=sender)
    except BadPackage as error:
        return error.code
    return "taken"
