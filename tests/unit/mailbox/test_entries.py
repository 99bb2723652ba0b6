from __future__ import annotations

from itertools import permutations

import pytest
from sqlalchemy import text

from lokole.mail.errors import NotFound
from lokole.mailbox import entries, fulltext, lists
from lokole.mailbox.database import Connection
from lokole.mailbox.forgetting import forget_content
from tests.mailbox_world import World


def test_reading_and_deleting_change_nobody_elses_letter(world: World) -> None:
    with world.database.write() as tx:
        no = world.incoming(tx, world.people)
        before = lists.get_entry(tx, world.eve, no), lists.counts(tx, world.eve)
        lists.set_flag(tx, world.ann, no, "read", True, "device-1")
        lists.set_flag(tx, world.bob, no, "deleted", True, "device-1")
        assert (lists.get_entry(tx, world.eve, no), lists.counts(tx, world.eve)) == before
        assert entries.holders(tx, world.tenant, no) == [world.ann.no, world.eve.no]


def test_a_flag_that_is_set_already_is_no_change(world: World) -> None:
    with world.database.write() as tx:
        no = world.incoming(tx, [world.ann])
        assert lists.set_flag(tx, world.ann, no, "starred", True, "device-1")
        assert not lists.set_flag(tx, world.ann, no, "starred", True, "device-1")


@pytest.mark.parametrize("flag", entries.FLAGS)
def test_a_flag_of_a_letter_one_does_not_have_cannot_be_set(world: World, flag: str) -> None:
    with world.database.write() as tx:
        no = world.incoming(tx, [world.ann])
        with pytest.raises(NotFound):
            lists.set_flag(tx, world.bob, no, flag, True, "device-1")
        with pytest.raises(NotFound):
            entries.merge_flag(tx, world.tenant, world.bob.no, no, flag, True, 9, "server")


def test_changes_of_both_ends_merge_to_the_same_in_any_order(world: World) -> None:
    changes: list[tuple[bool, int, str]] = [
        (True, 1, "device-1"),
        (False, 2, "device-1"),
        (True, 2, "server"),
        (False, 1, "server"),
    ]
    with world.database.write() as tx:
        for order in permutations(changes):
            no = world.incoming(tx, [world.ann])
            for value, lamport, origin in order:
                entries.merge_flag(tx, world.tenant, world.ann.no, no, "read", value, lamport, origin)
            entry = lists.get_entry(tx, world.ann, no)
            assert entry is not None and entry.read is True  # (2, "server") is the highest


def test_what_a_person_does_here_beats_everything_seen_before(world: World) -> None:
    with world.database.write() as tx:
        no = world.incoming(tx, [world.ann])
        entries.merge_flag(tx, world.tenant, world.ann.no, no, "starred", True, 41, "server")
        lists.set_flag(tx, world.ann, no, "folder", "archive", "device-1")
        assert not entries.merge_flag(tx, world.tenant, world.ann.no, no, "folder", "inbox", 41, "server")
        assert entries.merge_flag(tx, world.tenant, world.ann.no, no, "folder", "inbox", 43, "server")
        assert lists.counts(tx, world.ann).totals == {"inbox": 1, "archive": 0}


def test_a_letter_given_again_stays_as_its_holder_left_it(world: World) -> None:
    with world.database.write() as tx:
        no = world.incoming(tx, [world.ann])
        lists.set_flag(tx, world.ann, no, "deleted", True, "device-1")
        assert not entries.deliver(tx, world.tenant, no, world.ann.no)
        assert lists.get_entry(tx, world.ann, no) is None
        assert lists.counts(tx, world.ann).inbox_total == 0


def test_a_list_of_written_letters_keeps_what_lies_in_the_inbox_too() -> None:
    assert entries.lists_of("inbox", written=False) == ("inbox",)
    assert entries.lists_of("sent", written=True) == ("sent",)
    assert entries.lists_of("inbox", written=True) == ("inbox", "sent")
    assert entries.lists_of("archive", written=True) == ("archive",)


def test_forgotten_letters_leave_no_word_behind(world: World) -> None:
    with world.database.write() as tx:
        first = world.incoming(tx, world.people, body="<p>Zebra crossing</p>")
        second = world.incoming(tx, [world.ann], body="<p>Zebra</p>")
        fulltext.forget_letters(tx, [first])
        left = fulltext_rows(world, tx, "zebra", *(fulltext.holder_word(one.no) for one in world.people))
    assert left == [second]


def test_the_index_of_words_knows_who_holds_a_letter_at_each_moment(world: World) -> None:
    with world.database.write() as tx:
        no = world.incoming(tx, [world.ann])

        def holds(word: str) -> list[int]:
            return fulltext_rows(world, tx, word)

        word = fulltext.holder_word(world.ann.no)
        assert holds(word) == [no] and holds(fulltext.holder_word(world.bob.no)) == []
        lists.set_flag(tx, world.ann, no, "deleted", True, "device-1")
        assert holds(word) == []
        lists.set_flag(tx, world.ann, no, "deleted", False, "device-1")
        assert holds(word) == [no]
        entries.deliver(tx, world.tenant, no, world.bob.no)
        assert holds(fulltext.holder_word(world.bob.no)) == [no]


def fulltext_rows(world: World, tx: Connection, *words: str) -> list[int]:
    """The letters that the index of words itself knows by any of ``words``."""
    found: set[int] = set()
    for word in words:
        if world.database.is_sqlite:
            query = text("SELECT rowid FROM letter_words WHERE letter_words MATCH :word")
            found.update(tx.execute(query, {"word": f'"{word}"'}).scalars())
        else:
            query = text("SELECT email FROM letter_words WHERE words @@ CAST(:word AS tsquery)")
            found.update(tx.execute(query, {"word": f"'{word}'"}).scalars())
    return sorted(found)


def test_the_only_letter_of_a_box_is_deleted_by_everybody_who_has_it(world: World) -> None:
    with world.database.write() as tx:
        no = world.incoming(tx, world.people, subject="x")
        for person in world.people:
            assert entries.set_flag(tx, person, no, "deleted", True, "device-1")
        for person in world.people:
            assert entries.set_flag(tx, person, no, "deleted", False, "device-1")
        forget_content(tx, world.tenant, [no])
