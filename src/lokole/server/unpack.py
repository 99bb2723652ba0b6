"""A box's package is read: its letters are stored and queued for sending, its people are noted.

Everything is keyed by (tenant, uid), so that a package, or one letter in several packages, may be read any number of times.
A box speaks for its own domain only: a letter with another sender, and a person of another domain, are kept apart and counted.
One bad record never stops the next; a package that cannot be read on keeps what was read before.

Sending begins when the package is read to its end, because files may follow their letters.
"""

from __future__ import annotations

import hashlib
import logging
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import BinaryIO, cast

from sqlalchemy import update

from lokole.mail.errors import BadPackage, LokoleError, NotFound, Refused, Temporary
from lokole.mail.html import make_safe
from lokole.mail.mime import message_id_for
from lokole.mail.model import Address, Contact, Delivery, DeliveryState, Email, EmailNo, FolderName
from lokole.mailbox import jobs, outbound, packages, roaming, tenants
from lokole.mailbox.accounts import find_account_no, get_account
from lokole.mailbox.allowances import count_from_elsewhere
from lokole.mailbox.attachments import add_attachment_later, put_attachments
from lokole.mailbox.database import Connection
from lokole.mailbox.entries import deliver
from lokole.mailbox.held import PackedLetter, note_packed_letters
from lokole.mailbox.identity import next_email_id
from lokole.mailbox.jobs import Job
from lokole.mailbox.leaving import take_account
from lokole.mailbox.letters import store_email
from lokole.mailbox.packages import PackageRow
from lokole.mailbox.quarantine import quarantine, settle_bytes
from lokole.mailbox.recipients import set_recipients
from lokole.mailbox.schema import package as package_table
from lokole.mailbox.seen import find_by_uid, find_letter, remember_letter
from lokole.mailbox.tenants import REMOVED, TenantRow
from lokole.server import control_records, logs
from lokole.server.keys import server_seed
from lokole.server.notices import write_home
from lokole.server.ports import ServerPorts
from lokole.server.send import queue_sending
from lokole.server.twins import tell_twin
from lokole.server.visits import hear
from lokole.sync import jsontext
from lokole.sync.bodies import small_fields
from lokole.sync.container import CONTENT_TYPE, Header, for_exchange
from lokole.sync.ids import SERVER_ORIGIN, letter_print
from lokole.sync.package import SERVER, read_package
from lokole.sync.records import (
    AccountRecord,
    AnyRecord,
    AttachmentRecord,
    BadRecord,
    EmailRecord,
    ToldRecord,
    UnknownRecord,
)
from lokole.sync.sealed import read_sealed
from lokole.sync.version1 import write_email_line

log = logging.getLogger(__name__)

#: A box may date a letter this much ahead of us before its clock is not believed.
_AHEAD = timedelta(days=1)
_EARLIEST_YEAR = 2000
_MESSAGE_ID = re.compile(r"<[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,200}@([A-Za-z0-9.-]{1,253})>")
_ID = re.compile(r"[0-9a-f]{32}")
_MAX_KEPT = 16 * 1024 * 1024


@dataclass(slots=True)
class _Reading:
    """What reading one package has brought so far."""

    row: TenantRow
    package_no: int
    at: datetime
    #: digest of the package when it is a sealed one: what cannot be taken of it is told to the box
    sealed: str = ""
    #: whether the box that has the row now has made it: another one's people are not this one's
    of_today: bool = True
    letters: list[EmailNo] = field(default_factory=list)
    new: int = 0
    bad: int = 0


def run(ports: ServerPorts, job: Job) -> bool:
    """Read one package (ids: ``package``)."""
    with ports.database.read() as tx:
        row = tenants.find_tenant(tx, no=job.tenant)
        if row is None or row.state == REMOVED:
            return False
        package = packages.get_package(tx, row.no, int(job.ids["package"]))
        known, then = tenants.find_credential(tx, row.device_id), tenants.key_at(tx, row.no, package.created_at)
    if package.state not in ("held", "set_aside"):  # the second when an operator asked for it once more
        return False
    sealed = package.type == CONTENT_TYPE
    of_today = then is None or (known is not None and not known.revoked and known.public_key == then)
    reading = _Reading(row, package.no, package.created_at, package.sha256 if sealed else "", of_today)
    broken: BadPackage | None = None
    state = "unpacked"
    with ports.blobs.open(package.blob) as stream, seekable(stream) as content:
        try:
            found = (
                open_package(ports, row, package, content)
                if sealed
                else enumerate(read_package(content, limits=SERVER), start=1)
            )
        except BadPackage as error:
            broken, state = error, "set_aside"
        else:
            try:
                for n, record in found:
                    _take(ports, reading, n, record)
            except BadPackage as error:
                broken = error
    for some in _in_groups(reading.letters, 100):
        with ports.database.write() as tx:
            for no in some:
                queue_sending(ports, tx, row, no)
    with ports.database.write() as tx:
        now = ports.clock()
        roaming.take_kept(tx, row.no)
        if broken is not None:
            reason = f"{broken.code}: {broken}" if broken.code else str(broken)
            quarantine(
                tx,
                tenant=row.no,
                kind="package",
                source="box",
                reason=reason,
                raw_ref=package.blob,
                key=f"package:{package.no}",
                now=now,
            )
            if sealed:
                outbound.put(tx, row.no, "down", ToldRecord(package.sha256, 0, broken.code, str(broken)))
        elif package.state == "set_aside":
            settle_bytes(tx, row.no, "package", package.blob, now)
            outbound.tell_no_more(tx, row.no, "down", package.sha256, 0)
        packages.set_package_state(tx, package.no, state, now)
        tx.execute(update(package_table).where(package_table.c.no == package.no).values(letters=reading.new))
        hear(tx, row.no, now)
        jobs.finish(tx, job)
    ports.events.count("emails_received_from_client", reading.new)
    ports.events.count("email_stored_from_client")
    log.info(
        "a package was read: %d letters, %d of them new, %d bad records", len(reading.letters), reading.new, reading.bad
    )
    ports.bell.ring()
    return True


def given_up(ports: ServerPorts, job: Job, error: Exception) -> None:
    """The package cannot be read for a reason of ours: it is kept apart, its bytes stay where they are.

    Nothing waits for it any longer. The box is told, so that it packs half as many letters anew at a time.
    """
    with ports.database.write() as tx:
        try:
            package = packages.get_package(tx, job.tenant or 0, int(job.ids["package"]))
        except NotFound:
            return
        quarantine(
            tx,
            tenant=job.tenant,
            kind="package",
            source="box",
            reason=f"given up: {type(error).__name__}",
            raw_ref=package.blob,
            key=f"package:{package.no}",
            now=ports.clock(),
        )
        if package.type == CONTENT_TYPE:
            outbound.put(tx, package.tenant, "down", ToldRecord(package.sha256, 0, "given-up", type(error).__name__))
        packages.set_package_state(tx, package.no, "set_aside", ports.clock())


def open_package(
    ports: ServerPorts, row: TenantRow, package: PackageRow, stream: BinaryIO
) -> Iterator[tuple[int, AnyRecord]]:
    """The numbered records of a sealed package of this box, verified as a whole; raises BadPackage with a word of protocol 6.6 as its code."""

    def key_of(_header: Header) -> bytes | None:
        with ports.database.read() as tx:
            known = tenants.find_credential(tx, row.device_id)
            # the box was told that it is held: a key that was taken back since was good then
            then = tenants.key_at(tx, row.no, package.created_at)
        if then is not None:
            return then
        return None if known is None or known.revoked else known.public_key

    maker = for_exchange(key_of, direction="up", tenant=row.domain, device_id=row.device_id)
    opened = read_sealed(stream, recipient_seed=server_seed(ports), sender_public=maker, limits=SERVER)
    # one whose number was taken came by a carrier, and has another here (protocol 8.7)
    if opened.header.epoch != package.epoch or (package.seq >= 1 and opened.header.seq != package.seq):
        raise BadPackage("the package has another number than it was given", code="number")
    return opened.numbered


@contextmanager
def seekable(stream: BinaryIO) -> Iterator[BinaryIO]:
    """``stream``, or a copy of it on the disk when its store cannot go back in it."""
    if stream.seekable():
        yield stream
        return
    with tempfile.TemporaryFile() as copy:
        shutil.copyfileobj(stream, copy)
        copy.seek(0)
        yield cast(BinaryIO, copy)


def _take(ports: ServerPorts, reading: _Reading, n: int, record: AnyRecord) -> None:
    try:
        match record:
            case EmailRecord():
                _take_letter(ports, reading, n, record)
            case AttachmentRecord():
                _take_attachment(ports, reading, record)
            case AccountRecord() if not reading.of_today:
                pass
            case AccountRecord():
                with ports.database.write() as tx:
                    take_account(tx, reading.row.no, record, ports.clock())
            case BadRecord():
                place = f"{record.member}:{record.line}:{n}"
                _set_apart(ports, reading, n, place, record.reason, record.raw)
            case UnknownRecord():
                _set_apart(ports, reading, n, f"unknown:{n}", f"kind {record.kind}", record.raw, kind="unknown")
            case _:
                with ports.database.write() as tx:
                    control_records.apply(ports, tx, reading.row, reading.package_no, record)
    except Temporary:
        raise
    except MemoryError as error:  # of this moment, not of the record
        raise Temporary("the letter is too large for the memory that is left") from error
    except Exception as error:
        reason = str(error) if isinstance(error, LokoleError) else f"not storable: {type(error).__name__}"
        if not isinstance(error, LokoleError):
            log.error("a record could not be stored: %s", logs.place(error))
        _set_apart(ports, reading, n, f"record:{n}", reason, _as_bytes(record))


def _take_letter(ports: ServerPorts, reading: _Reading, n: int, record: EmailRecord) -> None:
    row, now = reading.row, ports.clock()
    print_ = letter_print(record.email)
    with ports.database.read() as tx:
        known, _ = find_letter(tx, row.no, record.uid, print_)
    if known is not None:
        with ports.database.write() as tx:
            _held(tx, reading, n, record, known)
        return
    email = _own(row, record.email, now)
    recipients, wrong = _recipients(row, record.email)
    stored = put_attachments(ports.blobs, row.domain, email.attachments)
    with ports.database.write() as tx:
        tenants.lock(tx, row.no)  # the same letter may be in another package that is read just now
        known, another = find_letter(tx, row.no, record.uid, print_)
        if known is not None:  # another worker was faster
            _held(tx, reading, n, record, known)
            return
        id = next_email_id(tx, SERVER_ORIGIN)
        if (
            another or not email.message_id
        ):  # two letters of one name have one Message-ID too, by which readers take them for one
            email = replace(email, message_id=message_id_for(id, row.domain))
        no, _ = store_email(
            tx,
            row.no,
            email,
            id=id,
            received_at=reading.at,
            attachments=stored,
            uid=record.uid,
        )
        remember_letter(tx, row.no, record.uid, print_, now, no)
        if another:
            told = "another letter came under the name of an earlier one; both were taken"
            tell_twin(tx, row, record.uid, told, now)
        writer = Address.parse(email.sender.address)
        person = find_account_no(tx, row.no, writer.local)
        if person is not None:
            deliver(tx, row.no, no, person, folder=FolderName.SENT, read=True, written=True)
        for name in _own_people(row, record.email):
            # the box gave it to them at once; here it is for whoever reads their mail in town
            local = find_account_no(tx, row.no, name)
            if local is not None and local != person:
                deliver(tx, row.no, no, local)
        set_recipients(tx, row.no, no, recipients, writer=person)
        if person is not None and recipients and email.sent_at is not None:
            count_from_elsewhere(tx, get_account(tx, row.no, person), email.sent_at, now)
        for text in wrong:
            write_home(tx, row, email.sender.address, email, text, "address", now)
        _held(tx, reading, n, record, no)
    reading.new += 1


def _held(tx: Connection, reading: _Reading, n: int, record: EmailRecord, no: EmailNo) -> None:
    """The letter is here for good: it counts in the package that brought it."""
    reading.letters.append(no)
    if reading.sealed:
        outbound.tell_no_more(tx, reading.row.no, "down", reading.sealed, n)
    if reading.sealed and _ID.fullmatch(record.uid):
        note_packed_letters(tx, reading.row.no, reading.package_no, [PackedLetter(n, bytes.fromhex(record.uid), no)])


def _own(row: TenantRow, email: Email, now: datetime) -> Email:
    """The letter as it may go out for this domain; raises Refused when its sender is somebody else."""
    try:
        sender = Address.parse(email.sender.address)
    except Refused:
        raise Refused("the sender is no address", code="foreign") from None
    if sender.domain != row.domain:
        raise Refused("the sender belongs to another domain", code="foreign")
    match = _MESSAGE_ID.fullmatch(email.message_id)
    own_id = match is not None and match[1].lower() == row.domain
    sent_at = email.sent_at
    doubtful = email.sent_at_doubtful or (
        sent_at is not None and (sent_at.year < _EARLIEST_YEAR or sent_at > now + _AHEAD)
    )
    return replace(
        email,
        sender=Contact(str(sender), email.sender.name),
        # an answer may only be asked for at the box's own domain
        reply_to=tuple(one for one in email.reply_to if _domain_of(one.address) == row.domain),
        body=make_safe(email.body),
        message_id=email.message_id if own_id else "",
        sent_at=sent_at,
        sent_at_doubtful=doubtful,
        bcc=(),
        recipients=(),
    )


def _recipients(row: TenantRow, email: Email) -> tuple[list[Delivery], list[str]]:
    """Whom the server has to bring the letter to, and what of To, Cc and Bcc is no address; people of the box itself have it already."""
    found: dict[str, Delivery] = {}
    wrong: list[str] = []
    wanted = {address.key for address in email.recipients}
    for role, contacts in (("to", email.to), ("cc", email.cc), ("bcc", email.bcc)):
        for contact in contacts:
            try:
                address = Address.parse(contact.address)
            except Refused:
                wrong.append(contact.address[:300])
                continue
            if address.domain != row.domain and (not wanted or address.key in wanted):
                found.setdefault(address.key, Delivery(str(address), role, DeliveryState.AT_SERVER))
    for address in email.recipients:
        if address.domain != row.domain:
            found.setdefault(address.key, Delivery(str(address), "bcc", DeliveryState.AT_SERVER))
    return list(found.values()), wrong


def _own_people(row: TenantRow, email: Email) -> Iterator[str]:
    for contact in (*email.to, *email.cc, *email.bcc):
        if _domain_of(contact.address) == row.domain:
            yield Address.parse(contact.address).local


def _domain_of(text: str) -> str:
    try:
        return Address.parse(text).domain
    except Refused:
        return ""


def _take_attachment(ports: ServerPorts, reading: _Reading, record: AttachmentRecord) -> None:
    row = reading.row
    (stored,) = put_attachments(ports.blobs, row.domain, [record.attachment])
    with ports.database.write() as tx:
        tenants.lock(tx, row.no)  # two files at once would take one place among those of the letter
        for uid in record.email_uids:
            no = find_by_uid(tx, row.no, uid)
            if no is None:
                raise BadPackage("a file belongs to a letter that never came")
            add_attachment_later(tx, row.no, no, stored)


def _set_apart(
    ports: ServerPorts, reading: _Reading, n: int, place: str, reason: str, raw: bytes, *, kind: str = "record"
) -> None:
    reading.bad += 1
    row = reading.row
    key = f"{row.domain}/apart/{hashlib.sha256(raw).hexdigest()}"
    ports.blobs.put(key, raw[:_MAX_KEPT])
    with ports.database.write() as tx:
        quarantine(
            tx,
            tenant=row.no,
            kind=kind,
            source="box",
            reason=reason,
            raw_ref=key,
            key=f"record:{row.no}:{reading.package_no}:{place}",
            now=ports.clock(),
        )
        if reading.sealed and kind != "unknown":
            outbound.put(tx, row.no, "down", ToldRecord(reading.sealed, n, "record", reason[:200]))


def _as_bytes(record: AnyRecord) -> bytes:
    """The record as evidence."""
    match record:
        case EmailRecord():
            return write_email_line(record, own_box=True)
        case AccountRecord():
            return record.address.encode("utf-8", "replace")
        case AttachmentRecord():
            return record.attachment.content
        case BadRecord() | UnknownRecord():
            return record.raw
        case _:
            return jsontext.write(small_fields(record))


def _in_groups(numbers: list[EmailNo], size: int) -> Iterable[list[EmailNo]]:
    for at in range(0, len(numbers), size):
        yield numbers[at : at + size]
