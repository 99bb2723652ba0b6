"""Files that no letter names go in two steps, and come back when they are named meanwhile."""

from __future__ import annotations

import hashlib
from datetime import timedelta

import pytest

from lokole.adapters.blobs.memory import MemoryBlobStore
from lokole.mail.errors import NotFound
from lokole.mail.model import Attachment, Contact, Email, EmailId
from lokole.mailbox import attachments, letters
from lokole.mailbox.attachments import blob_key, open_file, put_attachments, read_file
from lokole.mailbox.unnamed import AGE, sweep_unnamed
from tests.mailbox_world import DOMAIN, World

PHOTO = Attachment("photo.jpg", b"a photo", "image/jpeg")
NAME = hashlib.sha256(PHOTO.content).hexdigest()


def sweep(world: World, blobs: MemoryBlobStore, days: float) -> int:
    return sweep_unnamed(world.database, blobs, world.tenant, DOMAIN, world.now + timedelta(days=days))


def test_a_file_of_a_letter_stays(world: World) -> None:
    blobs = MemoryBlobStore()
    stored = put_attachments(blobs, DOMAIN, [PHOTO])
    with world.database.write() as tx:
        letters.store_email(
            tx,
            world.tenant,
            Email(Contact("a@b.org")),
            id=EmailId(world.entropy(16)),
            received_at=world.now,
            attachments=stored,
        )
    for day in range(100):
        assert sweep(world, blobs, day) == 0
    assert list(blobs.list()) == [blob_key(DOMAIN, NAME)]


def test_a_file_that_was_never_sent_is_readable_for_weeks_and_then_gone(world: World) -> None:
    blobs = MemoryBlobStore()
    put_attachments(blobs, DOMAIN, [PHOTO])
    blobs.put(f"{DOMAIN}/raw/{NAME}", b"not a file of a letter")
    days = AGE.days
    assert [sweep(world, blobs, day) for day in (0, days - 1)] == [0, 0]
    assert blobs.read(blob_key(DOMAIN, NAME)) == PHOTO.content
    assert [sweep(world, blobs, day) for day in (days, 2 * days - 1)] == [0, 0]
    with pytest.raises(NotFound):
        blobs.read(blob_key(DOMAIN, NAME))
    assert read_file(blobs, DOMAIN, NAME) == open_file(blobs, DOMAIN, NAME).read() == PHOTO.content
    assert sweep(world, blobs, 2 * days) == 1
    assert list(blobs.list()) == [f"{DOMAIN}/raw/{NAME}"]


def test_a_file_that_is_chosen_again_is_back(world: World) -> None:
    blobs = MemoryBlobStore()
    stored = put_attachments(blobs, DOMAIN, [PHOTO])
    for day in (0, AGE.days):
        sweep(world, blobs, day)
    # the letter was begun before the file was laid aside, and is sent now
    with world.database.write() as tx:
        no, _ = letters.store_email(
            tx,
            world.tenant,
            Email(Contact("a@b.org")),
            id=EmailId(world.entropy(16)),
            received_at=world.now,
            attachments=stored,
        )
        kept = attachments.attachments_of(tx, world.tenant, no)
    assert attachments.load_attachments(blobs, DOMAIN, kept) == (PHOTO,)
    for day in range(AGE.days, 100):
        assert sweep(world, blobs, day) == 0
    assert list(blobs.list()) == [blob_key(DOMAIN, NAME)]
    assert attachments.load_attachments(blobs, DOMAIN, kept) == (PHOTO,)


def test_its_age_begins_anew_when_a_letter_has_named_it_meanwhile(world: World) -> None:
    blobs = MemoryBlobStore()
    put_attachments(blobs, DOMAIN, [PHOTO])
    sweep(world, blobs, 0)
    blobs.delete(blob_key(DOMAIN, NAME))
    sweep(world, blobs, 1)
    put_attachments(blobs, DOMAIN, [PHOTO])
    sweep(world, blobs, AGE.days)
    assert list(blobs.list()) == [blob_key(DOMAIN, NAME)]
