from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import event

from lokole.mail.model import Account, DeliveryState
from lokole.mailbox import attachments, entries, lists, recipients, search
from lokole.mailbox.database import Connection, Database
from tests.mailbox_world import DOMAIN, World


@contextmanager
def statements_of(database: Database) -> Iterator[list[str]]:
    seen: list[str] = []

    def note(_c: object, _k: object, statement: str, *_rest: object) -> None:
        seen.append(statement)

    event.listen(database.engine, "before_cursor_execute", note)
    yield seen
    event.remove(database.engine, "before_cursor_execute", note)


def plans_of(database: Database, statements: list[str]) -> Iterator[tuple[str, list[str]]]:
    """How SQLite goes about each SELECT among ``statements``."""
    with database.read() as tx:
        for query in statements:
            if query.startswith("SELECT"):
                plan = tx.exec_driver_sql(f"EXPLAIN QUERY PLAN {query}", ("x",) * query.count("?")).all()
                yield query, [row[-1] for row in plan]


def _walk_down(tx: Connection, person: Account, folder: str, limit: int) -> list[lists.Page]:
    pages = [lists.list_folder(tx, person, folder, limit=limit)]
    while (older := pages[-1].older) is not None:
        pages.append(lists.list_folder(tx, person, folder, before=older, limit=limit))
    return pages


@pytest.mark.parametrize("count", [0, 1, 9, 10, 11, 20, 47])
def test_pages_down_and_up_show_every_letter_once(world: World, count: int) -> None:
    with world.database.write() as tx:
        numbers = [world.incoming(tx, [world.ann, world.bob]) for _ in range(count)]
        down = _walk_down(tx, world.ann, "inbox", 10)
        assert [row.no for page in down for row in page.rows] == numbers[::-1]
        assert [page.start for page in down] == [n * 10 + 1 if count else 0 for n in range(len(down))]
        assert {page.total for page in down} == {count}
        assert down[0].newer is None
        back = [down[-1]]
        while (newer := back[-1].newer) is not None:
            back.append(lists.list_folder(tx, world.ann, "inbox", after=newer, limit=10))
    assert [page.rows for page in back] == [page.rows for page in down][::-1]
    assert [page.start for page in back] == [page.start for page in down][::-1]


def test_a_page_asked_for_beyond_either_end_is_empty_or_whole(world: World) -> None:
    with world.database.write() as tx:
        numbers = [world.incoming(tx, [world.ann]) for _ in range(3)]
        assert lists.list_folder(tx, world.ann, "inbox", before=numbers[0]).rows == ()
        assert lists.list_folder(tx, world.ann, "inbox", after=numbers[-1]).rows == ()
        assert len(lists.list_folder(tx, world.ann, "inbox", after=0).rows) == 3
        assert lists.list_folder(tx, world.ann, "no such folder").total == 0


def test_a_deleted_letter_is_in_no_list_and_cannot_be_opened(world: World) -> None:
    with world.database.write() as tx:
        kept, gone = world.incoming(tx, [world.ann]), world.incoming(tx, [world.ann])
        lists.set_flag(tx, world.ann, gone, "deleted", True, "device-1")
        page = lists.list_folder(tx, world.ann, "inbox")
        assert ([row.no for row in page.rows], page.total) == ([kept], 1)
        assert lists.get_entry(tx, world.ann, gone) is None
        assert lists.attachment_of(tx, world.ann, gone, 0) is None


def test_nobody_opens_the_letter_or_the_file_of_another(world: World) -> None:
    one_file = [attachments.StoredAttachment("a.txt", "text/plain", None, "b" * 64, 4)]
    with world.database.write() as tx:
        no = world.incoming(tx, [world.ann])
        attachments.add_attachment_later(tx, world.tenant, no, one_file[0])
        assert lists.get_entry(tx, world.bob, no) is None
        assert lists.attachment_of(tx, world.bob, no, 0) is None
        assert lists.rows_of(tx, world.bob, [no]) == []
        assert lists.attachment_of(tx, world.ann, no, 0) == one_file[0]
        assert lists.attachment_of(tx, world.ann, no, 1) is None
        assert lists.attachment_of(tx, world.ann, no, -1) is None


def test_sent_letters_show_how_the_worst_recipient_stands(world: World) -> None:
    with world.database.write() as tx:
        no = world.written(tx, world.ann, to=("a@example.org", "b@example.org"), cc=(f"bob@{DOMAIN}",))
        shown = []
        for address, state in (
            ("a@example.org", DeliveryState.AT_SERVER),
            ("b@example.org", DeliveryState.AT_SERVER),
            ("a@example.org", DeliveryState.ACCEPTED),
            ("b@example.org", DeliveryState.REFUSED),
        ):
            shown.append(lists.list_folder(tx, world.ann, "sent").rows[0].state)
            recipients.set_recipient_state(tx, world.tenant, no, address, state)
        shown.append(lists.list_folder(tx, world.ann, "sent").rows[0].state)
        assert lists.list_folder(tx, world.bob, "inbox").rows[0].state is None
    assert shown == [
        DeliveryState.WAITING,
        DeliveryState.WAITING,
        DeliveryState.AT_SERVER,
        DeliveryState.AT_SERVER,
        DeliveryState.REFUSED,
    ]


def test_the_outbox_empties_when_the_server_has_the_letters(world: World) -> None:
    with world.database.write() as tx:
        numbers = [world.written(tx, world.ann, to=("a@example.org", "b@example.org")) for _ in range(25)]
        first = lists.list_outbox(tx, world.ann)
        assert (len(first.rows), first.total, first.start) == (20, 25, 1)
        second = lists.list_outbox(tx, world.ann, before=first.older)
        assert [row.no for page in (first, second) for row in page.rows] == numbers[::-1]
        assert second.newer is not None
        assert lists.list_outbox(tx, world.ann, after=second.newer).rows == first.rows
        recipients.move_waiting(tx, world.tenant, numbers, DeliveryState.AT_SERVER)
        assert lists.list_outbox(tx, world.ann) == lists.Page((), 0, 0, None, None)
        assert lists.counts(tx, world.ann).waiting == 0


def test_numbers_follow_every_change(world: World) -> None:
    with world.database.write() as tx:
        one, two, three = (world.incoming(tx, [world.ann]) for _ in range(3))
        lists.set_flag(tx, world.ann, one, "read", True, "device-1")
        lists.set_flag(tx, world.ann, two, "folder", "archive", "device-1")
        lists.set_flag(tx, world.ann, three, "deleted", True, "device-1")
        lists.set_flag(tx, world.ann, three, "read", True, "device-1")
        counted = lists.counts(tx, world.ann)
        assert (counted.unread, counted.inbox_total, counted.totals["archive"]) == (0, 1, 1)
        lists.set_flag(tx, world.ann, three, "deleted", False, "device-1")
        lists.set_flag(tx, world.ann, two, "folder", "inbox", "device-1")
        counted = lists.counts(tx, world.ann)
        assert (counted.unread, counted.inbox_total, counted.totals["archive"]) == (1, 3, 0)
        entries.recount(tx, world.tenant)
        after = lists.counts(tx, world.ann)
    assert (after.unread, after.inbox_total) == (1, 3)


def test_a_page_asks_few_questions_whatever_it_shows(world: World) -> None:
    with world.database.write() as tx:
        for _ in range(30):
            world.incoming(tx, [world.ann], body="<p>word</p>")
            world.written(tx, world.ann, to=("a@example.org",))
    with world.database.read() as tx, statements_of(world.database) as asked:
        lists.list_folder(tx, world.ann, "inbox")
        assert len(asked) == 2
        lists.counts(tx, world.ann)
        assert len(asked) == 3
        lists.list_folder(tx, world.ann, "sent")
        assert len(asked) == 6
        search.search(tx, world.ann, "word")
        assert len(asked) == 8


def test_no_list_walks_a_whole_table_on_sqlite(world: World) -> None:
    if not world.database.is_sqlite:
        pytest.skip("PostgreSQL chooses its plans by statistics, which a small database does not have.")
    with world.database.read() as tx, statements_of(world.database) as asked:
        lists.list_folder(tx, world.ann, "inbox", before=5)
        lists.list_folder(tx, world.ann, "sent", before=5)
        lists.list_outbox(tx, world.ann)
        lists.counts(tx, world.ann)
        search.search(tx, world.ann, "word", before=5)
    plans = list(plans_of(world.database, asked))
    assert len(plans) >= 8
    for query, steps in plans:
        # a subquery is capped, and the index of words is asked by its words
        walks = [step for step in steps if step.startswith("SCAN") and not re.search("VIRTUAL|anon_", step)]
        assert not walks, (query, steps)
        if "entry.written" in query:
            assert "ix_entry_written" in steps[0], steps
        if "entry.deleted" in query and "ORDER BY entry.email" in query:
            assert not [step for step in steps if "TEMP B-TREE" in step], (query, steps)
