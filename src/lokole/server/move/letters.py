"""The letters: into the mailboxes that the first server's index names, and to the boxes that have not fetched them yet.

A letter is taken once for each domain under its name there (``seen``, ``domains.LETTER``), in the order in which letters were sent.
Without an entry in the index it belongs to whom it names: its writer when a box brought it, else its recipients.
A letter that a box wrote is noted under the name that the box knows it by, so that a package that comes again sends nothing again.
A letter that waits there waits here, once; one that its box has fetched there since an earlier run waits here no more.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.utils import parseaddr
from typing import Any

from sqlalchemy import update

from lokole.mail.errors import BadPackage, LokoleError, NotFound, Refused, Temporary
from lokole.mail.html import make_safe
from lokole.mail.mime import message_id_for
from lokole.mail.model import AccountNo, Address, Contact, Delivery, DeliveryState, Email, FolderName
from lokole.mailbox import tenants
from lokole.mailbox.accounts import find_account_no
from lokole.mailbox.attachments import StoredAttachment, put_attachments
from lokole.mailbox.database import Connection
from lokole.mailbox.entries import deliver
from lokole.mailbox.identity import next_email_id
from lokole.mailbox.leaving import take_account
from lokole.mailbox.letters import store_email
from lokole.mailbox.packages import add_waiting
from lokole.mailbox.recipients import set_envelope, set_recipients
from lokole.mailbox.schema import waiting
from lokole.mailbox.seen import find_by_uid, forget, noted, remember, seen_email, was_seen
from lokole.mailbox.tenants import TenantRow
from lokole.server.move import layout
from lokole.server.move.domains import LETTER, WAITS, Move
from lokole.sync import version1
from lokole.sync.ids import SERVER_ORIGIN
from lokole.sync.records import AccountRecord

_AHEAD = timedelta(days=1)
_EARLIEST_YEAR = 2000
_LAST = datetime.max.replace(tzinfo=UTC)


@dataclass(slots=True)
class Place:
    """Where a letter is at one domain: in whose mailboxes (addresses), and whether it waits for the box."""

    received: set[str] = field(default_factory=set)
    sent: set[str] = field(default_factory=set)
    waits: bool = False


@dataclass(slots=True)
class Plan:
    """One letter; ``places`` by domain."""

    at: datetime | None = None
    places: dict[str, Place] = field(default_factory=dict)

    def place(self, domain: str) -> Place:
        return self.places.setdefault(domain, Place())


def take_letters(move: Move) -> None:
    """All letters of the domains that move."""
    plans: dict[str, Plan] = {}
    _read_index(move, plans)
    waiting_lists = _read_waiting(move, plans)
    _read_unnamed(move, plans)
    for uid, plan in sorted(plans.items(), key=lambda item: (item[1].at or _LAST, item[0])):
        take_letter(move, uid, plan)
    for domain, there in waiting_lists.items():
        _fetched_there(move, domain, there)


def _read_index(move: Move, plans: dict[str, Plan]) -> None:
    for name in move.names(move.source.blobs, layout.INDEX):
        try:
            entry = layout.read_index(name)
            domain = Address.parse(entry.address).domain
        except (BadPackage, Refused) as error:
            move.report.bad("letters", layout.INDEX, name, error)
            continue
        if domain not in move.rows:
            move.report.of_others += 1
            continue
        plan = plans.setdefault(entry.uid, Plan())
        plan.at = plan.at or entry.at
        place = plan.place(domain)
        (place.sent if entry.folder == layout.SENT else place.received).add(entry.address)


def _read_waiting(move: Move, plans: dict[str, Plan]) -> dict[str, set[str]]:
    """Note what waits; returns the names by domain, of those domains whose list is there."""
    lists: dict[str, set[str]] = {}
    try:
        names = move.source.tables.names(layout.PENDING)
    except NotFound:
        names = []
    else:
        lists = {domain: set() for domain in move.rows}
    for name in names:
        domain, _, uid = name.partition("/")
        if domain.lower() in move.rows:
            lists[domain.lower()].add(layout.bare(uid))
        else:
            move.report.of_others += 1
    for domain in move.rows:
        try:  # as older versions had it
            old = move.source.tables.names(domain.replace(".", "-"))
        except (NotFound, LokoleError) as error:
            if isinstance(error, Temporary | Refused):
                raise
            continue
        lists.setdefault(domain, set()).update(layout.bare(name) for name in old)
    for domain, uids in lists.items():
        for uid in uids:
            plans.setdefault(uid, Plan()).place(domain).waits = True
    return lists


def _read_unnamed(move: Move, plans: dict[str, Plan]) -> None:
    """Look into the letters that no index entry dates: when they were sent, and whose they are."""
    there = {layout.bare(name) for name in move.names(move.source.blobs, layout.EMAILS)}
    for uid in sorted(there | plans.keys()):
        plan = plans.get(uid)
        if plan is not None and any(place.received or place.sent for place in plan.places.values()):
            continue
        try:
            email, _ = _read(move, uid)
        except (NotFound, BadPackage) as error:
            if plan is None:  # one that waits is told of when it is taken
                move.report.bad("letters", layout.EMAILS, uid, _reason(error))
            continue
        if plan is None:
            plan = Plan()
            _by_names(move, uid, email, plan)
            if not plan.places:
                move.report.of_others += 1
                continue
            plans[uid] = plan
        plan.at = email.sent_at


def _by_names(move: Move, uid: str, email: Email, plan: Plan) -> None:
    sender = _address(email.sender)
    if sender is not None and sender.domain in move.rows and not layout.came_from_outside(uid):
        plan.place(sender.domain).sent.add(str(sender))
        return
    for address in _addresses((*email.to, *email.cc, *email.bcc)):
        if address.domain in move.rows:
            plan.place(address.domain).received.add(str(address))


def take_letter(move: Move, uid: str, plan: Plan) -> None:
    """Take one letter for each of its domains that does not have it."""
    missing = {}
    for domain, place in plan.places.items():
        if _is_known(move, move.rows[domain], uid, place):
            move.report.counts["letters"].known += 1
        else:
            missing[domain] = place
    if not missing:
        return
    try:
        email, bad = _read(move, uid)
        for reason in bad:
            move.report.say(layout.EMAILS, uid, f"a file of it was left out, {reason}")
        for domain, place in missing.items():
            _take_at(move, uid, email, domain, place)
    except Temporary:
        raise
    except Exception as error:
        # whatever this letter is, its neighbours come
        move.report.bad("letters", layout.EMAILS, uid, _reason(error))


def _reason(error: Exception) -> str:
    if isinstance(error, NotFound):
        return "the letter is named, and not there"
    return str(error) if isinstance(error, LokoleError) else f"not storable: {type(error).__name__}"


def _is_known(move: Move, row: TenantRow | None, uid: str, place: Place) -> bool:
    if row is None:
        return False
    ports = move.ports
    with ports.database.read() as tx:
        no = seen_email(tx, row.no, LETTER, uid)
        waits = place.waits and not was_seen(tx, row.no, WAITS, uid)
        waited = place.waits and not waits
    if no is None:
        return False
    move.report.counts["waiting"].known += waited
    move.report.counts["waiting"].new += waits
    if waits and not move.report.dry:
        with ports.database.write() as tx:
            _let_wait(move, tx, row, uid, no)
    return True


def _read(move: Move, uid: str) -> tuple[Email, list[str]]:
    """The letter as it may be kept, and what is wrong with files that cannot be read; raises NotFound and BadPackage."""
    fields = move.read(move.source.blobs, layout.EMAILS, uid + layout.OBJECT)
    files = fields.get("attachments")
    if isinstance(files, list):
        fields["attachments"] = [_in_base64(one) for one in files]
    record, bad = version1.read_email(fields, digest=lambda: uid)
    email = record.email
    now = move.ports.clock()
    at = email.sent_at
    doubtful = email.sent_at_doubtful or (at is not None and (at.year < _EARLIEST_YEAR or at > now + _AHEAD))
    email = replace(
        email,
        sender=_contact(email.sender),
        to=tuple(map(_contact, email.to)),
        cc=tuple(map(_contact, email.cc)),
        bcc=tuple(map(_contact, email.bcc)),
        reply_to=(),
        recipients=(),
        body=make_safe(email.body),
        sent_at_doubtful=doubtful,
    )
    return email, [reason for reason, _ in bad]


def _in_base64(item: Any) -> Any:
    """A file of a letter as a line of version 1 has it."""
    if isinstance(item, dict) and isinstance(item.get("content"), bytes):
        return item | {"content": base64.b64encode(item["content"]).decode("ascii")}
    return item


def _contact(contact: Contact) -> Contact:
    if "<" not in contact.address:
        return contact
    name, address = parseaddr(contact.address)
    return Contact(address, name) if address else contact


def _take_at(move: Move, uid: str, email: Email, domain: str, place: Place) -> None:
    row, ports, report = move.rows[domain], move.ports, move.report
    people = {address.key: address for address in _addresses(Contact(text) for text in place.received)}
    if place.waits:
        named = _addresses((*email.to, *email.cc, *email.bcc))
        people |= {address.key: address for address in named if address.domain == domain}
        if not people:
            raise BadPackage("it waits for a box and names nobody there")
    report.counts["letters"].new += 1
    report.counts["waiting"].new += place.waits
    if row is None or report.dry:
        return
    stored = put_attachments(ports.blobs, row.domain, email.attachments)
    with ports.database.write() as tx:
        tenants.lock(tx, row.no)
        known = find_by_uid(tx, row.no, uid) if place.sent else None
        if known is not None:  # its box has brought it here meanwhile
            remember(tx, row.no, LETTER, uid, ports.clock(), known)
            return
        _store(move, tx, row, uid, email, place, people, stored)


def _store(
    move: Move,
    tx: Connection,
    row: TenantRow,
    uid: str,
    email: Email,
    place: Place,
    people: dict[str, Address],
    stored: list[StoredAttachment],
) -> None:
    now = move.ports.clock()
    id = next_email_id(tx, SERVER_ORIGIN)
    dated = email.sent_at is not None and not email.sent_at_doubtful and not place.waits
    no, _ = store_email(
        tx,
        row.no,
        replace(email, message_id=message_id_for(id, row.domain) if place.sent else ""),
        id=id,
        received_at=email.sent_at if dated and email.sent_at is not None else now,
        attachments=stored,
        uid=uid if place.sent else None,
    )
    remember(tx, row.no, LETTER, uid, now, no)
    writers = [_writer(move, tx, row, address) for address in _addresses(Contact(text) for text in place.sent)]
    readers = [find_account_no(tx, row.no, address.local) for address in people.values()]
    for account in writers:
        to_self = account in readers
        folder = FolderName.INBOX if to_self else FolderName.SENT
        deliver(tx, row.no, no, account, folder=folder, read=True, written=True)
    for reader in readers:
        if reader is not None and reader not in writers:
            # what the box has had for long is no news in town
            deliver(tx, row.no, no, reader, read=not place.waits)
    if people:
        set_envelope(tx, row.no, no, dict.fromkeys(people, "delivered"))
    if place.sent:
        # noted without a print: whatever the box brings under this name again is this letter, and was sent
        remember(tx, row.no, "uid", uid, now, no)
        set_recipients(tx, row.no, no, _sent_to(row, email), writer=writers[0] if writers else None)
    if place.waits:
        _let_wait(move, tx, row, uid, no)
    elif not any(readers) and not writers:
        move.report.of_nobody += 1


def _writer(move: Move, tx: Connection, row: TenantRow, address: Address) -> AccountNo:
    """Who wrote from the box is somebody there, also when the box has not named them."""
    found = find_account_no(tx, row.no, address.local)
    if found is None:
        take_account(tx, row.no, AccountRecord(str(address)), move.ports.clock())
        found = find_account_no(tx, row.no, address.local)
    if found is None:
        raise Refused("its writer has left")
    return found


def _sent_to(row: TenantRow, email: Email) -> list[Delivery]:
    found: dict[str, Delivery] = {}
    for role, contacts in (("to", email.to), ("cc", email.cc), ("bcc", email.bcc)):
        for address in _addresses(contacts):
            if address.domain != row.domain:
                found.setdefault(address.key, Delivery(str(address), role, DeliveryState.ACCEPTED))
    return list(found.values())


def _let_wait(move: Move, tx: Connection, row: TenantRow, uid: str, no: int) -> None:
    add_waiting(tx, row.no, no, "down")
    remember(tx, row.no, WAITS, uid, move.ports.clock(), no)


def _fetched_there(move: Move, domain: str, there: set[str]) -> None:
    """Let go of what waits here since an earlier run, and has left the first server since."""
    row = move.rows[domain]
    if row is None:
        return
    with move.ports.database.read() as tx:
        gone = sorted(noted(tx, row.no, WAITS).keys() - there)
    move.report.fetched_there += len(gone)
    if move.report.dry:
        return
    for uid in gone:
        with move.ports.database.write() as tx:
            no = seen_email(tx, row.no, WAITS, uid)
            mine = (waiting.c.tenant == row.no, waiting.c.email == no, waiting.c.direction == "down")
            tx.execute(update(waiting).where(*mine, waiting.c.state == "waiting").values(state="delivered"))
            forget(tx, row.no, WAITS, uid)


def _address(contact: Contact) -> Address | None:
    try:
        return Address.parse(contact.address)
    except Refused:
        return None


def _addresses(contacts: Iterable[Contact]) -> list[Address]:
    return [address for contact in contacts if (address := _address(contact)) is not None]
