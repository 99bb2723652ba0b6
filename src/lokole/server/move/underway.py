"""What had come to the first server and was not read yet: raw messages, and packages that boxes had put there.

Both are given to the work of this server, as if they had come just now.
"""

from __future__ import annotations

import hashlib
import io
from email import message_from_bytes
from email.utils import getaddresses

from lokole.mail.errors import BadPackage, NotFound, Refused
from lokole.mail.model import Address
from lokole.mailbox.seen import find_by_uid, remember, was_seen
from lokole.server import intake, v1_boxes
from lokole.server.move import layout
from lokole.server.move.domains import MESSAGE, Move
from lokole.sync.limits import SERVER
from lokole.sync.package import read_package
from lokole.sync.records import EmailRecord

_MAX_HEADER = 64 * 1024


def take_messages(move: Move) -> None:
    """Raw messages go the way of mail from outside, to whom their headers name at the domains that move."""
    counts = move.report.counts["raw"]
    for name in move.names(move.source.blobs, layout.RAW):
        try:
            raw = layout.expand(move.source.blobs.read(layout.RAW, name, layout.MAX_BYTES))
            if len(raw) > move.ports.settings.max_letter_bytes:
                raise BadPackage("it is larger than LOKOLE_MAX_LETTER_MB")
        except (NotFound, BadPackage) as error:
            move.report.bad("raw", layout.RAW, name, error)
            continue
        people = _named(move, raw)
        if not people:
            move.report.bad("raw", layout.RAW, name, "it is addressed to nobody at the domains that move")
            continue
        digest = hashlib.sha256(raw).hexdigest()
        mine = [one for one in people if not _has_message(move, one, digest)]
        counts.known += not mine
        counts.new += bool(mine)
        if not mine or move.report.dry:
            continue
        intake.accept(move.ports, "", [str(one) for one in mine], raw, source="first-lokole")
        with move.ports.database.write() as tx:
            for domain in {one.domain for one in mine}:
                row = move.rows[domain]
                assert row is not None
                remember(tx, row.no, MESSAGE, digest, move.ports.clock())


def _named(move: Move, raw: bytes) -> list[Address]:
    head = message_from_bytes(raw[:_MAX_HEADER])
    texts = [str(one) for field in ("To", "Cc", "Bcc") for one in head.get_all(field, [])]
    found: dict[str, Address] = {}
    for _, text in getaddresses(texts):
        try:
            address = Address.parse(text)
        except Refused:
            continue
        if address.domain in move.rows:
            found.setdefault(address.key, address)
    return list(found.values())


def _has_message(move: Move, address: Address, digest: str) -> bool:
    row = move.rows[address.domain]
    if row is None:
        return False
    with move.ports.database.read() as tx:
        return was_seen(tx, row.no, MESSAGE, digest)


def take_packages(move: Move) -> None:
    """Packages of boxes that the first server did not read to their end; those that it made for boxes stay where they are."""
    for name in move.names(move.source.clients, layout.PACKAGES):
        try:
            content = move.source.clients.read(layout.PACKAGES, name, move.ports.settings.max_package_bytes)
            _take_package(move, name, content)
        except (NotFound, BadPackage) as error:
            move.report.bad("packages", layout.PACKAGES, name, error)


def _take_package(move: Move, name: str, content: bytes) -> None:
    letters = [one for one in read_package(io.BytesIO(content), limits=SERVER) if isinstance(one, EmailRecord)]
    # what a box packs has no date yet; what the server packs always has
    domains = {_domain_of(one) for one in letters if one.email.sent_at is None}
    if not domains:
        move.report.for_boxes += 1
        return
    mine = sorted(domains & move.rows.keys())
    if len(domains) > 1 or not mine:
        if len(domains) == 1:
            move.report.of_others += 1
            return
        raise BadPackage("its letters are of several domains")
    row, counts = move.rows[mine[0]], move.report.counts["packages"]
    if row is None or move.report.dry:
        counts.new += 1
        return
    with move.ports.database.read() as tx:
        # letters that the first server has stored are here by now
        known = v1_boxes.was_uploaded(tx, row, name) or all(find_by_uid(tx, row.no, one.uid) for one in letters)
    counts.known += known
    counts.new += not known
    if not known:
        v1_boxes.hold(move.ports, row, name, io.BytesIO(content))


def _domain_of(record: EmailRecord) -> str:
    try:
        return Address.parse(record.email.sender.address).domain
    except Refused:
        return ""
