"""Short ways to people and letters of a box, for tests."""

from __future__ import annotations

import io
from typing import BinaryIO

from lokole.adapters.sync_peer.in_process import InProcessExchange, Uploaded
from lokole.device.box import Box
from lokole.mail.errors import Temporary
from lokole.mail.model import Account, Attachment, Contact, Email, EmailNo, PackageRef
from lokole.mailbox import accounts, letters
from lokole.mailbox.attachments import put_attachments
from lokole.mailbox.identity import next_email_id
from lokole.sync.compression import Compression
from lokole.sync.package import read_package, write_package
from lokole.sync.records import EmailRecord, Record

ZSTD = Compression.ZSTD.content_type


def person(box: Box, name: str) -> Account:
    """Somebody of the box, made when there is none."""
    with box.ports.database.write() as tx:
        found = accounts.find_account(tx, box.tenant, name)
        return found or accounts.create_account(tx, box.tenant, name, password_hash=None, now=box.ports.clock())


def write(
    box: Box,
    name: str,
    to: str,
    subject: str = "Hello",
    attachments: tuple[Attachment, ...] = (),
    body: str = "<p>text</p>",
) -> EmailNo:
    """``name`` sends a letter, as the pages do it."""
    writer = person(box, name)
    stored = put_attachments(box.ports.blobs, writer.domain, attachments)
    email = Email(
        sender=Contact(str(writer.address)),
        to=tuple(Contact(part) for part in to.split(",")),
        subject=subject,
        body=body,
    )
    with box.ports.database.write() as tx:
        return letters.write_letter(
            tx, box.tenant, writer, email, id=next_email_id(tx, "test"), now=box.ports.clock(), attachments=stored
        )


def records_of(package: Uploaded) -> list[Record]:
    return list(read_package(io.BytesIO(package.content)))


def subjects_of(package: Uploaded) -> list[str]:
    return [record.email.subject for record in records_of(package) if isinstance(record, EmailRecord)]


def package_of(*records: Record) -> bytes:
    out = io.BytesIO()
    write_package(out, records, own_box=True)
    return out.getvalue()


def incoming(n: int, to: str, subject: str = "News", attachments: tuple[Attachment, ...] = ()) -> EmailRecord:
    """A letter from outside as the server packs it."""
    email = Email(
        sender=Contact("claire@example.org", "Claire"),
        to=(Contact(to),),
        subject=subject,
        body="<p>from outside</p>",
        attachments=attachments,
    )
    return EmailRecord(uid=f"{n:032x}", email=email)


class Flaky(InProcessExchange):
    """An exchange whose line breaks at the named step, once: before it, or when the other end has done it already."""

    def __init__(self, step: str, *, after: bool = False) -> None:
        super().__init__()
        self._step = step
        self._after = after

    def _breaks(self, step: str, *, after: bool) -> None:
        if self._step == step and self._after == after:
            self._step = ""
            raise Temporary("the line broke")

    def upload(
        self, ref: PackageRef, *, epoch: int, seq: int, type: str, size: int, content: BinaryIO, again: bool = False
    ) -> None:
        self._breaks("upload", after=False)
        super().upload(ref, epoch=epoch, seq=seq, type=type, size=size, content=content, again=again)
        self._breaks("upload", after=True)

    def acknowledge(self, *, epoch: int, seq: int, beyond: list[int], check: str = "") -> None:
        self._breaks("acknowledge", after=False)
        super().acknowledge(epoch=epoch, seq=seq, beyond=beyond, check=check)
        self._breaks("acknowledge", after=True)
