"""One line per conversation: which letter stands for it, how many there are, and what is around one."""

from __future__ import annotations

import pytest

from lokole.mailbox import conversations, lists
from lokole.mailbox.database import Connection
from tests.mailbox_world import World
from tests.unit.mailbox.test_lists import plans_of, statements_of


def _talk(tx: Connection, world: World, count: int, root: str) -> list[int]:
    return [
        world.incoming(
            tx,
            [world.ann],
            subject=f"{root} {n}",
            message_id=f"<{root}-{n}@x>",
            references=(f"<{root}-0@x>",) if n else (),
        )
        for n in range(count)
    ]


def test_a_conversation_is_one_line_with_its_newest_letter_and_its_count(world: World) -> None:
    with world.database.write() as tx:
        first = _talk(tx, world, 3, "rain")
        other = world.incoming(tx, [world.ann], subject="alone")
        second = _talk(tx, world, 2, "wells")
        found = conversations.list_conversations(tx, world.ann, "inbox").rows
        assert [(row.no, row.count) for row in found] == [(second[1], 2), (other, 1), (first[2], 3)]
        assert conversations.list_conversations(tx, world.bob, "inbox").rows == ()


def test_a_line_is_unread_while_one_letter_of_it_is(world: World) -> None:
    with world.database.write() as tx:
        numbers = _talk(tx, world, 2, "rain")
        lists.set_flag(tx, world.ann, numbers[1], "read", True, "device-1")
        assert [row.read for row in conversations.list_conversations(tx, world.ann, "inbox").rows] == [False]
        assert conversations.letters_of(tx, world.ann, numbers[1], unread=True) == [numbers[0]]
        lists.set_flag(tx, world.ann, numbers[0], "read", True, "device-1")
        assert [row.read for row in conversations.list_conversations(tx, world.ann, "inbox").rows] == [True]


def test_a_deleted_letter_stands_for_nothing_and_is_not_counted(world: World) -> None:
    with world.database.write() as tx:
        numbers = _talk(tx, world, 3, "rain")
        lists.set_flag(tx, world.ann, numbers[2], "deleted", True, "device-1")
        found = conversations.list_conversations(tx, world.ann, "inbox").rows
        assert [(row.no, row.count) for row in found] == [(numbers[1], 2)]


def test_an_answer_of_ones_own_counts_and_its_list_has_its_own_line(world: World) -> None:
    with world.database.write() as tx:
        asked = world.incoming(tx, [world.ann], message_id="<q@x>")
        answer = world.written(tx, world.ann, to=("out@example.org",), in_reply_to="<q@x>", references=("<q@x>",))
        inbox = conversations.list_conversations(tx, world.ann, "inbox").rows
        sent = conversations.list_conversations(tx, world.ann, "sent").rows
        assert [(row.no, row.count) for row in inbox] == [(asked, 2)]
        assert [(row.no, row.count) for row in sent] == [(answer, 2)]
        assert set(conversations.letters_of(tx, world.ann, asked)) == {asked, answer}
        assert conversations.letters_of(tx, world.bob, asked) == []


@pytest.mark.parametrize("count", [0, 1, 9, 10, 11, 23])
def test_pages_of_conversations_show_each_once(world: World, count: int) -> None:
    with world.database.write() as tx:
        newest = [_talk(tx, world, 2, f"talk{n}")[-1] for n in range(count)]
        pages = [conversations.list_conversations(tx, world.ann, "inbox", limit=10)]
        while (older := pages[-1].older) is not None:
            pages.append(conversations.list_conversations(tx, world.ann, "inbox", before=older, limit=10))
        assert [row.no for page in pages for row in page.rows] == newest[::-1]
        back = [pages[-1]]
        while (newer := back[-1].newer) is not None:
            back.append(conversations.list_conversations(tx, world.ann, "inbox", after=newer, limit=10))
        assert [page.rows for page in back] == [page.rows for page in pages][::-1]


def test_the_letters_around_one_are_bounded_and_the_rest_is_counted(world: World) -> None:
    with world.database.write() as tx:
        numbers = _talk(tx, world, 30, "rain")
        world.incoming(tx, [world.bob], message_id="<rain-31@x>", references=("<rain-0@x>",))
        talk = lists.rows_of(tx, world.ann, [numbers[0]])[0].conversation
        around = conversations.letters_around(tx, world.ann, talk, numbers[12], each=10)
        assert [row.no for row in around.before] == numbers[2:12]
        assert [row.no for row in around.after] == numbers[13:23]
        assert (around.more_before, around.more_after) == (2, 7)
        assert set(around.chars) == set(numbers[2:12] + numbers[13:23])


def test_the_choice_is_each_persons_own(world: World) -> None:
    with world.database.write() as tx:
        conversations.set_conversations(tx, world.ann, True)
        assert conversations.wants_conversations(tx, world.ann)
        assert not conversations.wants_conversations(tx, world.bob)
        conversations.set_conversations(tx, world.ann, False)
        assert not conversations.wants_conversations(tx, world.ann)


def test_no_list_of_conversations_walks_a_table_or_sorts_on_sqlite(world: World) -> None:
    if not world.database.is_sqlite:
        pytest.skip("PostgreSQL chooses its plans by statistics, which a small database does not have.")
    with world.database.write() as tx:
        numbers = _talk(tx, world, 3, "rain")
    with world.database.read() as tx, statements_of(world.database) as asked:
        page = conversations.list_conversations(tx, world.ann, "inbox", before=99)
        conversations.list_conversations(tx, world.ann, "sent", before=99)
        conversations.letters_around(tx, world.ann, page.rows[0].conversation, numbers[1])
    for query, steps in plans_of(world.database, asked):
        assert not [step for step in steps if step.startswith("SCAN") or "ORDER BY" in step], (query, steps)
        for step in steps:
            if "later" in step:
                assert "ix_email_tenant_conversation" in step or "ix_entry_email (email=?)" in step, steps
