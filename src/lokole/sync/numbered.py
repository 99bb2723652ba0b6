"""The number of each record in its payload (protocol 7.11), counted again where only the records are at hand.

A letter's number is that of its frame; its files are the frames behind it. Bad records bring their own number with them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from lokole.sync.records import AnyRecord, AttachmentRecord, BadRecord, EmailRecord

_LOST_FILE = "attachment-unreadable:"


def frames_of(record: AnyRecord) -> int:
    """How many frames a record takes: one, and one for each of its files, also those that could not be read."""
    match record:
        case EmailRecord():
            lost = sum(note.startswith(_LOST_FILE) for note in record.notes)
            return 1 + len(record.email.attachments) + lost
        case AttachmentRecord():
            return 2
        case _:
            return 1


def numbered(records: Iterable[AnyRecord]) -> Iterator[tuple[int, AnyRecord]]:
    """Each record with the number of its first frame or line, from 1."""
    last = 0
    for record in records:
        if isinstance(record, BadRecord):
            last = max(last, record.line)
            yield record.line, record
        else:
            yield last + 1, record
            last += frames_of(record)
