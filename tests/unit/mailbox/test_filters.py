"""Searching by more than words: each filter alone, together, in pages, and bounded when nothing fits."""

from __future__ import annotations

import pytest

from lokole.mail.model import Contact
from lokole.mailbox import attachments, filters, lists
from lokole.mailbox.database import Connection
from lokole.mailbox.filters import Filters
from tests.mailbox_world import DOMAIN, World


def _found(tx: Connection, world: World, wanted: Filters, query: str = "") -> list[int]:
    return [row.no for row in filters.find(tx, world.ann, query, wanted).rows]


def test_each_filter_finds_what_it_says(world: World) -> None:
    with world.database.write() as tx:
        plain = world.incoming(tx, [world.ann], sender="aunt@far.example", body="<p>water</p>")
        world.later(days=1)
        middle = world.now
        file = world.incoming(
            tx, [world.ann], sender="uncle@far.example", to=(Contact("x@y.example", "École Lisanga"),)
        )
        attachments.add_attachment_later(
            tx, world.tenant, file, attachments.StoredAttachment("a.txt", "text/plain", None, "b" * 64, 4)
        )
        lists.set_flag(tx, world.ann, file, "read", True, "device-1")
        world.later(days=1)
        late = world.now
        written = world.written(tx, world.ann, to=("out@example.org",), bcc=("hidden@example.org",))
        archived = world.incoming(tx, [world.ann], body="<p>water</p>")
        lists.set_flag(tx, world.ann, archived, "folder", "archive", "device-1")
        lists.set_flag(tx, world.ann, archived, "starred", True, "device-1")
        for wanted, found in (
            (Filters(sender="aunt"), [plain]),
            (Filters(sender="FAR.example uncle"), [file]),
            (Filters(to="ecole"), [file]),
            (Filters(to="hidden"), [written]),
            (Filters(to=f"ann@{DOMAIN}"), [archived, plain]),
            (Filters(attachment=True), [file]),
            (Filters(unread=True), [archived, plain]),
            (Filters(starred=True), [archived]),
            (Filters(since=middle), [archived, written, file]),
            (Filters(until=middle), [plain]),
            (Filters(since=middle, until=late), [file]),
            (Filters(folder="archive"), [archived]),
            (Filters(folder="sent"), [written]),
            (Filters(folder="inbox", sender="a"), [plain]),
            (Filters(sender="%"), []),
            (Filters(sender="\x00\ud800'"), []),
        ):
            assert _found(tx, world, wanted) == found, wanted
        assert _found(tx, world, Filters(starred=True), "water") == [archived]
        assert _found(tx, world, Filters(unread=True), "!!!") == []
        assert _found(tx, world, Filters(unread=True), "nothing") == []
        lists.set_flag(tx, world.ann, archived, "deleted", True, "device-1")
        assert _found(tx, world, Filters(starred=True)) == []
        for wanted in (Filters(sender="aunt"), Filters(to="hidden"), Filters(attachment=True)):
            assert filters.find(tx, world.bob, "", wanted).rows == (), wanted


@pytest.mark.parametrize("query", ["", "water"])
@pytest.mark.parametrize("count", [0, 1, 9, 10, 11, 20, 35])
def test_pages_of_filtered_letters_show_each_once_both_ways(world: World, count: int, query: str) -> None:
    with world.database.write() as tx:
        numbers = []
        for n in range(count):
            world.incoming(tx, [world.ann], body="<p>water</p>")
            numbers.append(world.incoming(tx, [world.ann], sender=f"aunt{n}@far.example", body="<p>water</p>"))
        wanted = Filters(sender="aunt" if not query else "far.example")
        pages = [filters.find(tx, world.ann, query, wanted, limit=10)]
        while (older := pages[-1].older) is not None:
            pages.append(filters.find(tx, world.ann, query, wanted, before=older, limit=10))
        assert [row.no for page in pages for row in page.rows] == numbers[::-1]
        back = [pages[-1]]
        while (newer := back[-1].newer) is not None:
            back.append(filters.find(tx, world.ann, query, wanted, after=newer, limit=10))
        assert [row.no for page in back[::-1] for row in page.rows] == numbers[::-1]


def test_a_filter_that_fits_nothing_looks_at_some_and_goes_on_from_there(world: World) -> None:
    with world.database.write() as tx:
        first = world.incoming(tx, [world.ann], sender="aunt@far.example")
        for _ in range(filters.MAX_LOOKED_AT + 300):
            world.incoming(tx, [world.ann], to=())
        page = filters.find(tx, world.ann, "", Filters(sender="aunt"))
        assert page.rows == ()
        assert page.older == first + 301
        page = filters.find(tx, world.ann, "", Filters(sender="aunt"), before=page.older)
        assert [row.no for row in page.rows] == [first]
        assert page.older is None
