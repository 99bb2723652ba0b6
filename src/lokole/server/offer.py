"""What waits for a box becomes a sealed package: an immutable blob, numbered, offered until it is acknowledged.

Letters are read one by one while the package is written to a file, so that memory does not grow with their number.
Two builders at once, threads or processes, make one package: the second finds that nothing waits any more.
"""

from __future__ import annotations

import hashlib
import logging
import tempfile
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import groupby, islice
from typing import BinaryIO, cast

from lokole.mail.errors import NotFound
from lokole.mail.model import Address, Attachment, Email, EmailId, EmailNo
from lokole.mailbox import account_records, attachments, letters, outbound, packages, tenants
from lokole.mailbox.database import Connection
from lokole.mailbox.held import PackedLetter, note_packed_letters
from lokole.mailbox.identity import ensure_identity
from lokole.mailbox.letters import StoredEmail
from lokole.mailbox.options import get_option
from lokole.mailbox.packages import Waiting
from lokole.mailbox.posting import BOARD_NAME
from lokole.mailbox.recipients import envelope_of
from lokole.mailbox.repacking import letters_at_once
from lokole.mailbox.roaming import was_written_here, written_entries
from lokole.mailbox.shared_answers import hangs_until
from lokole.mailbox.tenants import TenantRow
from lokole.server import fitting, reconcile
from lokole.server.devices import READS_OPTION
from lokole.server.keys import server_seed
from lokole.server.ports import ServerPorts
from lokole.sync.container import CONTENT_TYPE, Header, PayloadKind
from lokole.sync.ids import record_uid
from lokole.sync.package import BOX
from lokole.sync.payload2 import frames_of, size_of
from lokole.sync.records import AckRecord, AnyRecord, EmailRecord
from lokole.sync.sealed import write_sealed

log = logging.getLogger(__name__)

DOWN = "down"
MAX_LETTERS = 20_000
_PACKAGES_AT_ONCE = 20
_BATCH = 100
_CHUNK = 256 * 1024
# a file is a third longer in base64, and the letter around it needs room
_MAX_FILES = (BOX.max_line_bytes - BOX.max_text_bytes) * 3 // 4


@dataclass(frozen=True, slots=True)
class Enough:
    """A package ends behind the letter with which one of these is reached: bytes and number of its frames before compression, its letters.

    With one letter more (20 MiB), and people and receipts, all stays below the 64 MiB from which a reader counts the ratio (protocol 5)
    and which a carrier's bundle may have: neither how well letters compress nor who brings them may keep them from the box.
    """

    bytes: int = 24 * 1024 * 1024
    frames: int = 100_000
    letters: int = MAX_LETTERS


ENOUGH = Enough()

_locks: defaultdict[tuple[int, int], threading.Lock] = defaultdict(threading.Lock)


def build_pending(ports: ServerPorts, row: TenantRow, *, enough: Enough = ENOUGH) -> int:
    """Put everything that waits for the box into packages; returns how many packages were made."""
    with builder_lock(ports, row):
        made = 0
        reconcile.withdraw_lost(ports, row)
        while made < _PACKAGES_AT_ONCE and build_one(ports, row, enough=enough):
            made += 1
        return made


def builder_lock(ports: ServerPorts, row: TenantRow) -> threading.Lock:
    """One builder of this process for each box."""
    return _locks[id(ports.database), row.no]


def build_one(ports: ServerPorts, row: TenantRow, *, even_empty: bool = False, enough: Enough = ENOUGH) -> bool:
    """Make one sealed package of what waits; False when nothing does. Without a lock of its own: the rows keep builders apart.

    ``even_empty`` makes one that says only what was taken of the box's packages (protocol 9.3).
    """
    seed = server_seed(ports)
    with ports.database.write() as tx:
        epoch = ensure_identity(tx, ports.entropy)
        seq = packages.next_seq(tx, row.no, epoch, DOWN)
        key = tenants.find_credential(tx, row.device_id)
        pending = list(islice(packages.waiting_rows(tx, row.no, DOWN), enough.letters))
        fewer_letters = letters_at_once(tx, row.no, DOWN, pending[0].email) if pending else None
        besides = outbound.waiting_records(tx, row.no, DOWN)
        people = account_records.roaming_to_send(tx, row.no)
        acks = _acknowledgements(tx, row)
        payload = _payload(tx, row)
    if key is None or key.revoked or not (pending or besides or people or even_empty):
        return False
    if fewer_letters is not None:
        enough = replace(enough, letters=min(enough.letters, fewer_letters))
    taken: list[Waiting] = []
    frames: list[tuple[int, bytes, EmailId]] = []

    def all_records() -> Iterator[AnyRecord]:
        frame = 1
        for record in records(ports, row, pending, taken, own_records, enough):
            assert record.email.id is not None
            frames.append((frame, bytes.fromhex(record.uid), record.email.id))
            frame += frames_of(record)
            yield record
        yield from people
        yield from (one.record for one in besides)
        yield from acks

    with tempfile.TemporaryFile() as spool:
        header = Header(DOWN, row.domain, row.device_id, epoch, seq, payload)
        write_sealed(
            cast(BinaryIO, spool),
            header,
            all_records(),
            sender_seed=seed,
            recipient_public=key.public_key,
            entropy=ports.entropy,
        )
        size = spool.tell()
        spool.seek(0)
        digest = hashlib.file_digest(spool, "sha256").hexdigest()
        blob = f"{row.domain}/packages/{digest}"
        spool.seek(0)
        ports.blobs.put(blob, iter(lambda: spool.read(_CHUNK), b""))
    with ports.database.write() as tx:
        # asking for the number is the lock; only behind it can be seen what another builder has done
        number = packages.next_seq(tx, row.no, epoch, DOWN)
        newest = tenants.find_credential(tx, row.device_id)
        if (
            (ensure_identity(tx, ports.entropy), number) != (epoch, seq)
            or not still_waiting(tx, row, taken)
            or newest is None
            or newest.no != key.no
        ):
            log.info("another process has packed these letters")
            return True  # look again: something else may wait
        no = packages.add_package(
            tx,
            row.no,
            epoch=epoch,
            direction=DOWN,
            seq=seq,
            sha256=digest,
            size=size,
            type=CONTENT_TYPE,
            blob=blob,
            letters=len(frames),
            state="built",
            now=ports.clock(),
        )
        packages.mark_packed(tx, no, taken)
        outbound.mark_packed(tx, no, besides)
        outbound.note_accounts(tx, row.no, DOWN, no, people)
        carried = [(frame, uid, letters.find_email(tx, row.no, id)) for frame, uid, id in frames]
        note_packed_letters(
            tx, row.no, no, [PackedLetter(frame, uid, email) for frame, uid, email in carried if email is not None]
        )
    return True


def _acknowledgements(tx: Connection, row: TenantRow) -> list[AckRecord]:
    """What was taken of the box's packages, for ways on which no answer says it (protocol 7.9)."""
    newest = packages.newest_package(tx, row.no, "up")
    if newest is None:
        return []
    states = ("held", "unpacked", "set_aside")
    return [packages.acknowledgement(tx, row.no, newest.epoch, "up", states)]


def _payload(tx: Connection, row: TenantRow) -> PayloadKind:
    reads = get_option(tx, row.no, READS_OPTION, [])
    return PayloadKind.GZ if isinstance(reads, list) and reads and PayloadKind.ZSTD not in reads else PayloadKind.ZSTD


def still_waiting(tx: Connection, row: TenantRow, taken: list[Waiting]) -> bool:
    """Whether nobody else has packed one of these meanwhile."""
    return set(taken) <= set(packages.waiting_rows(tx, row.no, "down"))


#: Makes the records of a stored letter for the people it is for.
MakeRecords = Callable[[TenantRow, StoredEmail, Email, Waiting, list[Address]], list[EmailRecord]]


def records(
    ports: ServerPorts,
    row: TenantRow,
    pending: list[Waiting],
    taken: list[Waiting],
    make: MakeRecords,
    enough: Enough = ENOUGH,
) -> Iterator[EmailRecord]:
    """The records of ``pending``, one at a time, until it is ``enough``; what was used is added to ``taken``."""
    size = frames = count = 0
    groups = groupby(pending, key=lambda one: one.email)
    while batch := [(no, list(some)) for no, some in islice(groups, _BATCH)]:
        with ports.database.read() as tx:
            for no, some in batch:
                for rows, made in _records_of(ports, tx, row, no, some, make):
                    for record in made:
                        size += size_of(record)
                        frames += frames_of(record)
                        yield record
                    taken.extend(rows)
                    count += 1
                    if size >= enough.bytes or frames >= enough.frames or count >= enough.letters:
                        return


def _records_of(
    ports: ServerPorts, tx: Connection, row: TenantRow, no: EmailNo, some: list[Waiting], make: MakeRecords
) -> Iterator[tuple[list[Waiting], list[EmailRecord]]]:
    """What waits of one letter, with its records: a letter may have one for each of many people, and need not go in one package."""
    try:
        stored = letters.read_email(tx, row.no, no)
    except NotFound:
        log.error("a waiting letter is gone")
        yield some, []
        return
    text, whole = fitting.fitting_text(stored.email.body)
    # a text that no box can take as a file either
    whole = tuple(
        one if len(one.content) <= _MAX_FILES else fitting.too_large(one.filename, len(one.content)) for one in whole
    )
    files = _files(ports, row, stored, _MAX_FILES - sum(len(one.content) for one in whole))
    email = replace(stored.email, body=text, attachments=(*whole, *files))
    written = written_entries(tx, row.no, no)
    if make is own_records and (written or was_written_here(tx, row.no, no)):
        # somebody wrote it in town: their box shows it among the sent, and gives it to whom it names there, though its writer may have left
        private = letters.read_email(tx, row.no, no, private=True).email
        yield some, [EmailRecord(stored.id.hex(), replace(email, bcc=private.bcc), entries=written)]
        return
    people = [Address.parse(text) for text, state in envelope_of(tx, row.no, no).items() if state == "delivered"]
    # those in another package too: somebody who appeared meanwhile would get the letter twice
    apart = packages.recipients_apart(tx, row.no, no, DOWN)
    board = [person for person in people if person.local.casefold() == BOARD_NAME]
    until = hangs_until(tx, row.no, no) if board and make is own_records else None
    for one in some:
        mine = [
            person for person in people if (person.key == one.recipient if one.recipient else person.key not in apart)
        ]
        made = make(row, stored, email, one, mine)
        if until is not None:
            made = [replace(each, posted=until) if board[0] in each.email.recipients else each for each in made]
        yield [one], made


def own_records(
    row: TenantRow, stored: StoredEmail, email: Email, waiting: Waiting, people: list[Address]
) -> list[EmailRecord]:
    """The record for a box of ours: the envelope says whom it is for."""
    if not people:
        return []
    addressed = replace(email, recipients=tuple(people))
    return [EmailRecord(record_uid(stored.id, waiting.recipient), addressed, proven=stored.proven)]


def _files(ports: ServerPorts, row: TenantRow, stored: StoredEmail, left: int) -> tuple[Attachment, ...]:
    """The files of a letter; one that a box could not take in, or that is gone, is replaced by a few words that name it."""
    found: dict[int, Attachment] = {}
    # the smallest first, so that one film does not push out the photos beside it
    for n, one in sorted(enumerate(stored.attachments), key=lambda pair: pair[1].size):
        if one.size > left:
            found[n] = fitting.too_large(one.filename, one.size)
            continue
        try:
            (found[n],) = attachments.load_attachments(ports.blobs, row.domain, [one])
        except NotFound:
            log.error("a file of a waiting letter is gone")
            found[n] = fitting.lost(one.filename)
        left -= one.size
    return tuple(found[n] for n in sorted(found))
