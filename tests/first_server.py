"""The storage of a first Lokole's server as its programs leave it, in a folder or in Azurite; for tests of moving from it."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgpack

from lokole.mail.model import Contact, Email
from lokole.sync.records import EmailRecord
from tests.unit.server.place import message, packed

A, B = "a.lokole.test", "b-old.lokole.test"
CLIENT_A, CLIENT_B = "11111111-aaaa-4aaa-8aaa-000000000001", "22222222-bbbb-4bbb-8bbb-000000000002"
PASSWORD = "mango river drum"
#: of that password, as the first Lokole makes it: plain bcrypt with twelve rounds (SECURITY_PASSWORD_SINGLE_HASH)
HASH = "$2b$12$tuHPD6NHXNsTcT6bYMQA0u/UJ./XTtKK.D2wVyfDRWY.k7w7E7ok6"
PASSLIB = "$pbkdf2-sha512$25000$abc$def"
#: names of letters: those from outside have 64 hex digits, those of boxes are UUIDs
IN_OLD, IN_WAITS, IN_BOTH = "1" * 64, "2" * 64, "3" * 64
OUT, OUT_UNINDEXED = "44444444-0000-4000-8000-000000000004", "55555555-0000-4000-8000-000000000005"
OUT_IN_PACKAGE = "66666666-0000-4000-8000-000000000006"
IN_B_WAITS = "7" * 64
RAW = message(to=f"ann@{A}, nobody@else.test", subject="not read yet")

Put = Callable[[str, str, bytes], None]


def folder_put(root: Path) -> Put:
    """Puts into a folder as the LOCAL provider does."""

    def put(container: str, name: str, content: bytes) -> None:
        path = root / container / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    return put


def as_object(value: Any) -> bytes:
    return gzip.compress(msgpack.packb(value, use_bin_type=True) + b"\n")


def as_text(text: str) -> bytes:
    return gzip.compress(text.encode())


def letter(
    uid: str, sender: str, to: list[str], subject: str, at: str | None = "2026-02-01 08:30", **more: Any
) -> dict[str, Any]:
    fields = {
        "_uid": uid,
        "from": sender,
        "to": to,
        "cc": [],
        "bcc": [],
        "subject": subject,
        "body": f"<p>{subject}</p>",
    }
    return fields | {"attachments": []} | ({} if at is None else {"sent_at": at}) | more


def index_name(domain: str, address: str, folder: str, at: str, uid: str) -> str:
    moment = datetime.fromisoformat(at).replace(tzinfo=UTC)
    return f"{domain}/{address}/{folder}/{2_100_000_000 - int(moment.timestamp())}/{uid}.txt.gz"


def fill(put: Put) -> None:
    """Two domains: ``A`` in the layout of the last version, ``B`` in that of an older one."""
    put("clientsauth", f"domain/{A}.msgpack.gz", as_object({"client_id": CLIENT_A, "owner": "octo", "domain": A}))
    put(
        "clientsauth",
        f"client_id/{CLIENT_A}.msgpack.gz",
        as_object({"client_id": CLIENT_A, "owner": "octo", "domain": A}),
    )
    put("clientsauth", f"{B}.txt.gz", as_text(CLIENT_B))
    put("clientsauth", f"{CLIENT_B}.txt.gz", as_text(B))
    for name, hashed in (("ann", HASH), ("o'hara+x", PASSLIB)):
        put("users", f"{A}/{name}@{A}.msgpack.gz", as_object({"email": f"{name}@{A}", "password": hashed}))

    def add(fields: dict[str, Any], *places: tuple[str, str, str]) -> None:
        put("emails", f"{fields['_uid']}.msgpack.gz", as_object(fields))
        for domain, address, folder in places:
            put("mailbox", index_name(domain, address, folder, fields["sent_at"], fields["_uid"]), as_text("indexed"))

    ann, bob = f"ann@{A}", "bob@example.org"
    picture = {"filename": "p.jpg", "content": b"\xff\xd8\x00picture", "cid": "c1"}
    add(
        letter(IN_OLD, bob, [ann], "old one", "2026-01-05 10:00", attachments=[picture]),
        (A, ann, "received"),
    )
    add(letter(IN_WAITS, bob, [ann], "still waits", "2026-02-03 10:00"), (A, ann, "received"))
    put("pendingemails", f"{A}/{IN_WAITS}.txt.gz", as_text("pending"))
    add(
        letter(IN_BOTH, bob, [ann, f"zoe@{B}"], "to both", "2026-01-20 10:00"),
        (A, ann, "received"),
        (B, f"zoe@{B}", "received"),
    )
    add(letter(OUT, ann, [bob], "written", "2026-01-10 10:00", bcc=["carl@example.org"]), (A, ann, "sent"))
    add(letter(OUT_UNINDEXED, f"zoe@{B}", [bob], "without index", at=None))
    add(letter(IN_B_WAITS, bob, [f"zoe@{B}"], "waits at b", "2026-02-04 10:00"))
    put(B.replace(".", "-"), f"{IN_B_WAITS}.txt.gz", as_text("pending"))
    put("sendgridinboundemails", f"{'a' * 64}.txt.gz", gzip.compress(RAW))
    put("compressedpackages", "up.tar.gz", uploaded(OUT_IN_PACKAGE, OUT))
    put("compressedpackages", "read-before.tar.gz", uploaded(OUT))
    dated = Email(Contact(bob), to=(Contact(ann),), subject="down", sent_at=datetime(2026, 1, 2, tzinfo=UTC))
    put("compressedpackages", "down.tar.zstd", packed([EmailRecord("d" * 64, dated)], own_box=False))


def uploaded(*uids: str) -> bytes:
    """A package as the box of ``A`` makes it: letters without dates, its people behind."""
    letters = [letter(uid, f"ann@{A}", ["bob@example.org"], "written", at=None) for uid in uids]
    members = {"emails.jsonl": letters, "zzusers.jsonl": [{"email": f"new@{A}", "password": HASH}]}
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w|gz") as archive:
        for name, lines in members.items():
            content = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()
