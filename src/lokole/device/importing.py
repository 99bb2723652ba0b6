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

from lokole.mail.errors import BadPackage, Refused, Temporary
from lokole.mail.html import make_safe
from lokole.mail.model import AccountNo, Address, Email, EmailId
from lokole.mailbox import accounts, letters
from lokole.mailbox.database import Connection, Database
from lokole.mailbox.letters import StoredAttachment
from lokole.mailbox.quarantine import quarantine
from lokole.mailbox.recipients import set_envelope
from lokole.mailbox.tenants import TenantRow
from lokole.ports.blobs import BlobStore
from lokole.ports.callables import Clock
from lokole.sync.records import AccountRecord, AttachmentRecord, BadRecord, EmailRecord, Record

_ID = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class Imported:
    """What one package brought: new letters, those known before, what is in quarantine, recipients nobody is."""

    letters: int = 0
    repeated: int = 0
    quarantined: int = 0
    unknown: int = 0


def import_package(
    records: Iterable[Record], *, name: str, database: Database, blobs: BlobStore, tenant: TenantRow, clock: Clock
) -> Imported:
    """Take in the ``records`` of the package called ``name`` (its digest).

    Raises Temporary when the database or the store does not take them: then nothing may be acknowledged.
    A package that ends in :class:`BadPackage` is in quarantine itself after its good records were taken in.
    """
    importer = _Importer(name, database, blobs, tenant, clock)
    numbered = enumerate(records, start=1)
    while True:
        try:
            n, record = next(numbered)
        except StopIteration:
            break
        except BadPackage as error:
            importer.keep_apart("package", f"package {name[:12]}", str(error), f"package:{name}", None)
            break
        importer.take(n, record)
    return Imported(importer.letters, importer.repeated, importer.quarantined, importer.unknown)


class _Importer:
    def __init__(self, name: str, database: Database, blobs: BlobStore, tenant: TenantRow, clock: Clock) -> None:
        self.letters = self.repeated = self.quarantined = self.unknown = 0
        self._name = name
        self._database = database
        self._blobs = blobs
        self._tenant = tenant
        self._clock = clock
        self._people: dict[str, AccountNo] = {}

    def take(self, n: int, record: Record) -> None:
        source = f"package {self._name[:12]} record {n}"
        key = f"record:{self._name}:{n}"
        match record:
            case EmailRecord():
                try:
                    self._letter(record)
                except Temporary:
                    raise
                except MemoryError as error:
                    raise Temporary("the letter is too large for the memory that is left") from error
                except Exception as error:
                    # whatever it is about this letter, its neighbours do not wait for it
                    self.keep_apart("record", source, type(error).__name__, key, _evidence(record))
            case AttachmentRecord():
                if not self._attachment(record):
                    evidence = record.attachment.content
                    self.keep_apart("record", source, "its letter is not here", key, evidence)
            case BadRecord():
                where = f"package {self._name[:12]} {record.member} line {record.line}"
                self.keep_apart("record", where, record.reason, key, record.raw)
            case AccountRecord():
                pass  # people are made on the box; the server has nothing to say about them yet

    def keep_apart(self, kind: str, source: str, reason: str, key: str, raw: bytes | None) -> None:
        """Into quarantine, with the bytes durable first; a repeat is one row."""
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
        if new:
            self.quarantined += 1

    def _letter(self, record: EmailRecord) -> None:
        tenant = self._tenant
        # the server has made it safe; a box that shows it does not depend on that
        email = replace(record.email, body=make_safe(record.email.body))
        stored = letters.put_attachments(self._blobs, tenant.domain, email.attachments)
        with self._database.write() as tx:
            people: list[AccountNo] = []
            envelope: dict[str, str] = {}
            for address in _envelope(email, tenant.domain):
                account = self._person(tx, address.local)
                envelope[address.key] = "unknown" if account is None else "delivered"
                if account is not None:
                    people.append(account)
            no, created = letters.store_email(
                tx,
                tenant.no,
                email,
                id=_id_of(record.uid),
                received_at=self._clock(),
                attachments=stored,
                deliver_to=people,
                uid=record.uid,
            )
            set_envelope(tx, tenant.no, no, envelope)
        self.letters += created
        self.repeated += not created
        self.unknown += sum(state == "unknown" for state in envelope.values())

    def _person(self, tx: Connection, name: str) -> AccountNo | None:
        """Who has ``name``; nobody leaves a box, so whoever was found once is not looked for with every letter."""
        known = self._people.get(name) or accounts.find_account_no(tx, self._tenant.no, name)
        if known is not None:
            self._people[name] = known
        return known

    def _attachment(self, record: AttachmentRecord) -> bool:
        (stored,) = letters.put_attachments(self._blobs, self._tenant.domain, (record.attachment,))
        with self._database.write() as tx:
            return _add_later(tx, self._tenant, record.email_uids, stored)


def _add_later(tx: Connection, tenant: TenantRow, uids: tuple[str, ...], stored: StoredAttachment) -> bool:
    found = False
    for uid in uids:
        no = letters.find_email(tx, tenant.no, _id_of(uid))
        if no is not None:
            letters.add_attachment_later(tx, tenant.no, no, stored)
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


def _evidence(record: EmailRecord) -> bytes:
    """What an administrator may look at when a letter could not be stored."""
    email = record.email
    fields = {"_uid": record.uid, "from": email.sender.address, "subject": email.subject, "body": email.body}
    return json.dumps(fields, ensure_ascii=True).encode("ascii")
