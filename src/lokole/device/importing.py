"""A package from the server becomes letters in mailboxes: letter by letter, each in a transaction of its own.

Files are durable before the transaction that names them. A record that cannot be read, or a letter that cannot be
stored, goes into quarantine with its bytes, beside its good neighbours.
Everything may be repeated: a letter is known by its id, so a package that was half in when the power went is read again from its start.

Whom the envelope names decides who gets a letter; a name that nobody has here (any more) is kept with the letter and counted.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from lokole.device import control_records
from lokole.mail.errors import BadPackage, LokoleError, Refused, Temporary
from lokole.mail.html import make_safe
from lokole.mail.model import AccountNo, Address, Delivery, DeliveryState, Email, EmailId, EmailNo
from lokole.mailbox import accounts, attachments, folders, letters, outbound, roaming
from lokole.mailbox.allowances import count_from_elsewhere
from lokole.mailbox.attachments import StoredAttachment
from lokole.mailbox.board import is_news
from lokole.mailbox.database import Connection, Database
from lokole.mailbox.entries import deliver
from lokole.mailbox.held import PackedLetter, note_packed_letters
from lokole.mailbox.identity import next_email_id
from lokole.mailbox.mail_flow import Arriving, take_in
from lokole.mailbox.posting import BOARD_NAME, make_post
from lokole.mailbox.quarantine import quarantine
from lokole.mailbox.recipients import set_envelope, set_recipients
from lokole.mailbox.seen import find_letter, remember_letter
from lokole.mailbox.tenants import TenantRow
from lokole.ports.blobs import BlobStore
from lokole.ports.callables import Clock, Entropy
from lokole.sync.ids import letter_print
from lokole.sync.records import (
    AnyRecord,
    AttachmentRecord,
    BadRecord,
    EmailRecord,
    RequestRecord,
    ToldRecord,
    UnknownRecord,
)

_ID = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class Imported:
    """What one package brought: new letters, those known before, what is in quarantine, recipients nobody is."""

    letters: int = 0
    repeated: int = 0
    quarantined: int = 0
    unknown: int = 0


def import_package(
    records: Iterable[tuple[int, AnyRecord]],
    *,
    name: str,
    database: Database,
    blobs: BlobStore,
    tenant: TenantRow,
    clock: Clock,
    entropy: Entropy,
    package_no: int | None = None,
) -> Imported:
    """Take in the ``records`` of the package called ``name`` (its digest), each with its number there; ``package_no`` is its row when it is a sealed one.

    Raises Temporary when the database or the store does not take them: then nothing may be acknowledged.
    A package that ends in :class:`BadPackage` is in quarantine itself after its good records were taken in.
    """
    importer = _Importer(name, database, blobs, tenant, clock, entropy, package_no)
    counted = enumerate(records, start=1)
    while True:
        try:
            n, (frame, record) = next(counted)
        except StopIteration:
            break
        except BadPackage as error:
            importer.keep_apart("package", f"package {name[:12]}", str(error), f"package:{name}", None, frame=0)
            break
        importer.take(n, frame, record)
    with database.write() as tx:
        roaming.take_kept(tx, tenant.no)
        roaming.take_kept_receipts(tx, tenant.no)
    return Imported(importer.letters, importer.repeated, importer.quarantined, importer.unknown)


class _Importer:
    def __init__(
        self,
        name: str,
        database: Database,
        blobs: BlobStore,
        tenant: TenantRow,
        clock: Clock,
        entropy: Entropy,
        package_no: int | None,
    ) -> None:
        self.letters = self.repeated = self.quarantined = self.unknown = 0
        self._name = name
        self._database = database
        self._blobs = blobs
        self._tenant = tenant
        self._arriving = Arriving(tenant.no, tenant.domain)
        self._clock = clock
        self._entropy = entropy
        self._package_no = package_no

    def take(self, n: int, frame: int, record: AnyRecord) -> None:
        """Take in record ``n`` of the package, whose first frame is ``frame``."""
        source = f"package {self._name[:12]} record {n}"
        key = f"record:{self._name}:{n}"
        try:
            match record:
                case EmailRecord():
                    self._letter(frame, record)
                case AttachmentRecord():
                    if not self._attachment(record):
                        evidence = record.attachment.content
                        self.keep_apart("record", source, "its letter is not here", key, evidence, frame=frame)
                case BadRecord():
                    where = f"package {self._name[:12]} {record.member} line {record.line}"
                    self.keep_apart("record", where, record.reason, key, record.raw, frame=frame)
                case UnknownRecord():
                    self.keep_apart("unknown", source, f"kind {record.kind}", key, record.raw, frame=None)
                case RequestRecord(kind=folders.REQUEST):
                    with self._database.write() as tx:
                        folders.take_folder(tx, self._tenant.no, record)
                case RequestRecord():
                    reason = f"a request of a kind that is not known here: {record.kind[:40]}"
                    self.keep_apart("unknown", source, reason, key, b"", frame=None)
                case _:
                    with self._database.write() as tx:
                        control_records.apply(tx, self._tenant, record, self._clock(), self._entropy)
        except Temporary:
            raise
        except MemoryError as error:
            raise Temporary("the letter is too large for the memory that is left") from error
        except Exception as error:
            # whatever it is about this record, its neighbours do not wait for it
            reason = str(error) if isinstance(error, LokoleError) else f"not storable: {type(error).__name__}"
            self.keep_apart("record", source, reason, key, _evidence(record), frame=frame)

    def keep_apart(
        self, kind: str, source: str, reason: str, key: str, raw: bytes | None, *, frame: int | None
    ) -> None:
        """Into quarantine, with the bytes durable first; a repeat is one row.

        The server is told that record ``frame`` (0: the rest) of a sealed package was not taken; None tells nothing.
        """
        raw_ref = f"{self._tenant.domain}/pkg-{self._name}"
        if raw is not None:
            raw_ref = f"{self._tenant.domain}/bad-{hashlib.sha256(raw).hexdigest()}"
            self._blobs.put(raw_ref, raw)
        with self._database.write() as tx:
            new = quarantine(
                tx,
                tenant=self._tenant.no,
                kind=kind,
                source=source,
                reason=reason,
                raw_ref=raw_ref,
                key=key,
                now=self._clock(),
            )
            if frame is not None and self._package_no is not None:
                outbound.put(tx, self._tenant.no, "up", ToldRecord(self._name, frame, kind, reason[:200]))
        if new:
            self.quarantined += 1

    def _letter(self, frame: int, record: EmailRecord) -> None:
        tenant, now = self._tenant, self._clock()
        # the server has made it safe; a box that shows it does not depend on that
        email = replace(record.email, body=make_safe(record.email.body))
        print_ = letter_print(record.email)
        stored = attachments.put_attachments(self._blobs, tenant.domain, email.attachments)
        with self._database.write() as tx:
            known, another = find_letter(tx, tenant.no, record.uid, print_)
            id = _id_of(record.uid)
            if another:
                # a restored server has given one name to two letters: this one gets a name of ours (protocol 8.8)
                id = next_email_id(tx, tenant.device_id)
                quarantine(
                    tx,
                    tenant=tenant.no,
                    kind="twin",
                    source=f"package {self._name[:12]}",
                    reason="another letter came under the name of an earlier one; both were taken",
                    raw_ref=None,
                    key=f"twin:{record.uid[:80]}",
                    now=now,
                )
            people: list[AccountNo] = []
            new: list[AccountNo] = []
            left: list[Address] = []
            envelope: dict[str, str] = {}
            news = False
            for address in _envelope(email, tenant.domain):
                # asked for with each letter: two people may become one, or one leave, while a package is taken in
                account = accounts.find_account_no(tx, tenant.no, address.local)
                if address.local.casefold() == BOARD_NAME:
                    # only the server's mark counts, never what the letter says of itself; without it nobody has this name
                    proven = is_news(tx, tenant.no, email.sender.address, proven=record.proven)
                    news = proven or record.posted is not None
                    envelope[address.key] = "delivered" if news else "dead"
                    continue
                if account is not None:
                    envelope[address.key] = "delivered"
                    people.append(account)
                elif accounts.has_left(tx, tenant.no, address.local):
                    envelope[address.key] = "dead"  # whoever has the name next is somebody else
                    left.append(address)
                else:
                    envelope[address.key] = "unknown"
            if known is not None:
                no, created = known, False
                new = [account for account in people if deliver(tx, tenant.no, known, account)]
            else:
                no, created = letters.store_email(
                    tx,
                    tenant.no,
                    email,
                    id=id,
                    received_at=now,
                    attachments=stored,
                    deliver_to=people if not record.entries else (),
                    uid=record.uid,
                )
                remember_letter(tx, tenant.no, record.uid, print_, now, no)
                entries_of(tx, tenant, no, record, people, now)
                new = people if created else []
            take_in(tx, tenant.no, no, new, origin=tenant.device_id, now=now, arriving=self._arriving, email=email)
            set_envelope(tx, tenant.no, no, envelope)
            for address in left:
                quarantine(
                    tx,
                    tenant=tenant.no,
                    kind="dead-letter",
                    source=f"package {self._name[:12]}",
                    reason=f"its person has left: {address.local}",
                    raw_ref=None,
                    key=f"left:{record.uid[:80]}:{address.key}",
                    now=now,
                )
            if news:
                # what a service has answered is for the people here, and hangs for its time
                make_post(tx, tenant.no, no, now, account=None, public=record.posted is None, expires_at=record.posted)
            if self._package_no is not None:
                outbound.tell_no_more(tx, tenant.no, "up", self._name, frame)
            if self._package_no is not None and _ID.fullmatch(record.uid):
                note_packed_letters(
                    tx, tenant.no, self._package_no, [PackedLetter(frame, bytes.fromhex(record.uid), no)]
                )
        self.letters += created
        self.repeated += not created
        self.unknown += sum(state == "unknown" for state in envelope.values())

    def _attachment(self, record: AttachmentRecord) -> bool:
        (stored,) = attachments.put_attachments(self._blobs, self._tenant.domain, (record.attachment,))
        with self._database.write() as tx:
            return _add_later(tx, self._tenant, record.email_uids, stored)


def entries_of(
    tx: Connection, tenant: TenantRow, no: EmailNo, record: EmailRecord, people: Iterable[AccountNo], now: datetime
) -> None:
    """Give a letter that somebody wrote or filed at the server to its people: as they have it there (protocol 7.3)."""
    if not record.entries:
        return
    for entry in record.entries:
        person = accounts.find_account_no(tx, tenant.no, entry.account)
        if person is None:
            continue
        deliver(tx, tenant.no, no, person, folder=entry.folder, read=entry.read, written=entry.written)
        if entry.written:
            contacts = [(role, one) for role in ("to", "cc", "bcc") for one in getattr(record.email, role)]
            sent = {
                key: Delivery(key, role, DeliveryState.AT_SERVER)
                for role, one in reversed(contacts)
                if (key := _key_of(one.address)) and not key.endswith(f"@{tenant.domain}")
            }
            set_recipients(tx, tenant.no, no, reversed(list(sent.values())), writer=person)
            if sent and record.email.sent_at is not None:
                count_from_elsewhere(tx, accounts.get_account(tx, tenant.no, person), record.email.sent_at, now)
    for other in people:
        deliver(tx, tenant.no, no, other)


def _key_of(text: str) -> str:
    try:
        return Address.parse(text).key
    except Refused:
        return ""


def _add_later(tx: Connection, tenant: TenantRow, uids: tuple[str, ...], stored: StoredAttachment) -> bool:
    found = False
    for uid in uids:
        no = letters.find_email(tx, tenant.no, _id_of(uid))
        if no is not None:
            attachments.add_attachment_later(tx, tenant.no, no, stored)
            found = True
    return found


def _id_of(uid: str) -> EmailId:
    """The id of a letter from its name in a package: our server's names are ids in hex, any other is digested."""
    if _ID.fullmatch(uid):
        return EmailId(bytes.fromhex(uid))
    return EmailId(hashlib.sha256(b"uid\0" + uid.encode("utf-8", "surrogatepass")).digest()[:16])


def _envelope(email: Email, domain: str) -> list[Address]:
    """Who gets the letter at ``domain``, each once: the envelope, or the headers when there is none."""
    found: dict[str, Address] = {}
    if email.recipients:
        candidates = list(email.recipients)
    else:
        candidates = []
        for contact in (*email.to, *email.cc, *email.bcc):
            try:
                candidates.append(Address.parse(contact.address))
            except Refused:
                continue
    for address in candidates:
        if address.domain == domain:
            found.setdefault(address.key, address)
    return list(found.values())


def _evidence(record: AnyRecord) -> bytes:
    """What an administrator may look at when a record could not be stored."""
    if not isinstance(record, EmailRecord):
        return type(record).__name__.encode("ascii")
    email = record.email
    fields = {"_uid": record.uid, "from": email.sender.address, "subject": email.subject, "body": email.body}
    return json.dumps(fields, ensure_ascii=True).encode("ascii")
