"""Deleted letters: kept for thirty days, put back, then gone for their holder and, when nobody has them, for good."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select, update

from lokole.mail.errors import NotFound
from lokole.mail.model import DeliveryState
from lokole.mailbox import accounts, deleted, entries, letters, lists, packages, recipients, search
from lokole.mailbox.database import Connection
from lokole.mailbox.schema import email, entry, waiting
from lokole.mailbox.schema import outbound as outbound_table
from tests.mailbox_world import DOMAIN, World, count_outbound


def _delete(tx: Connection, world: World, no: int) -> None:
    lists.set_flag(tx, world.ann, no, "deleted", True, "device-1")


def _tidy(world: World, **after: float) -> int:
    return deleted.empty_deleted(world.database, world.tenant, world.later(**after))


def _subject(tx: Connection, no: int) -> str:
    return str(tx.execute(select(email.c.subject).where(email.c.order_no == no)).scalar_one())


def test_a_deleted_letter_is_listed_for_its_holder_alone_and_comes_back_whole(world: World) -> None:
    with world.database.write() as tx:
        no = world.incoming(tx, [world.ann, world.bob], body="<p>water</p>")
        lists.set_flag(tx, world.ann, no, "starred", True, "device-1")
        before = lists.list_folder(tx, world.ann, "inbox")
        _delete(tx, world, no)
        page = deleted.list_deleted(tx, world.ann)
        assert ([row.no for row in page.rows], page.total) == ([no], 1)
        assert deleted.list_deleted(tx, world.bob).rows == ()
        deleted.put_back(tx, world.ann, no, "device-1")
        assert lists.list_folder(tx, world.ann, "inbox") == before
        assert [row.no for row in search.search(tx, world.ann, "water").rows] == [no]
        with pytest.raises(NotFound):
            deleted.put_back(tx, world.eve, no, "device-1")


def test_pages_of_deleted_letters_show_each_once(world: World) -> None:
    with world.database.write() as tx:
        numbers = [world.incoming(tx, [world.ann]) for _ in range(25)]
        for no in numbers:
            _delete(tx, world, no)
        lists.set_flag(tx, world.ann, numbers[3], "folder", "archive", "device-1")
        page = deleted.list_deleted(tx, world.ann)
        shown = [row.no for row in page.rows]
        assert page.older is not None
        shown += [row.no for row in deleted.list_deleted(tx, world.ann, before=page.older).rows]
        assert shown == numbers[::-1]


def test_thirty_days_after_the_tidy_saw_it_first_a_deleted_letter_is_emptied(world: World) -> None:
    with world.database.write() as tx:
        gone, kept = world.incoming(tx, [world.ann], subject="gone"), world.incoming(tx, [world.ann], subject="kept")
        _delete(tx, world, gone)
    assert _tidy(world) == 0
    assert _tidy(world, days=29) == 0
    assert _tidy(world, days=1) == 1
    with world.database.write() as tx:
        assert deleted.list_deleted(tx, world.ann).rows == ()
        assert (_subject(tx, gone), _subject(tx, kept)) == ("", "kept")
        with pytest.raises(NotFound):
            deleted.put_back(tx, world.ann, gone, "device-1")
        # a late repeat finds that the person had it
        assert not entries.deliver(tx, world.tenant, gone, world.ann.no)
        assert letters.read_email(tx, world.tenant, kept).email.subject == "kept"
    assert _tidy(world, days=1) == 0


def test_what_somebody_else_still_has_keeps_its_content(world: World) -> None:
    with world.database.write() as tx:
        no = world.incoming(tx, [world.ann, world.bob], subject="shared")
        _delete(tx, world, no)
    _tidy(world)
    assert _tidy(world, days=31) == 1
    with world.database.write() as tx:
        assert deleted.list_deleted(tx, world.ann).rows == ()
        assert lists.get_entry(tx, world.bob, no) is not None
        assert _subject(tx, no) == "shared"
        lists.set_flag(tx, world.bob, no, "deleted", True, "device-1")
    _tidy(world)
    _tidy(world, days=31)
    with world.database.read() as tx:
        assert _subject(tx, no) == ""


def test_what_somebody_still_to_come_is_to_get_keeps_its_content(world: World) -> None:
    """The envelope names somebody who has not signed up (again) yet."""
    with world.database.write() as tx:
        no, other = (world.incoming(tx, [world.ann], subject="for two") for _ in range(2))
        for one in (no, other):
            recipients.set_envelope(tx, world.tenant, one, {f"kofi@{DOMAIN}": "unknown"})
            _delete(tx, world, one)
        deleted.erase(tx, world.ann, other)
    _tidy(world)
    assert _tidy(world, days=31) == 1
    with world.database.write() as tx:
        assert deleted.list_deleted(tx, world.ann).rows == ()
        kofi = accounts.create_account(tx, world.tenant, "kofi", password_hash=None, now=world.now)
        assert [row.subject for row in lists.list_folder(tx, kofi, "inbox").rows] == ["for two"] * 2


def test_a_letter_put_back_and_deleted_again_has_its_thirty_days_anew(world: World) -> None:
    with world.database.write() as tx:
        no = world.incoming(tx, [world.ann])
        _delete(tx, world, no)
    _tidy(world)
    world.later(days=29)
    with world.database.write() as tx:
        deleted.put_back(tx, world.ann, no, "device-1")
        _delete(tx, world, no)
    assert _tidy(world, days=1) == 0
    assert _tidy(world, days=30) == 1


def test_a_letter_on_its_way_is_not_emptied(world: World) -> None:
    with world.database.write() as tx:
        no = world.written(tx, world.ann, to=("out@example.org",), subject="leaves")
        _delete(tx, world, no)
    _tidy(world)
    assert _tidy(world, days=31) == 0
    with world.database.write() as tx:
        assert _subject(tx, no) == "leaves"
        tx.execute(update(waiting).values(state="delivered"))
        recipients.set_recipient_state(tx, world.tenant, no, "out@example.org", DeliveryState.AT_SERVER, "", 1)
    assert _tidy(world, days=1) == 0
    with world.database.write() as tx:
        recipients.set_recipient_state(tx, world.tenant, no, "out@example.org", DeliveryState.ACCEPTED, "", 2)
    assert _tidy(world, days=1) == 1


def test_a_deletion_that_the_other_end_does_not_know_yet_is_not_emptied(world: World) -> None:
    with world.database.write() as tx:
        accounts.set_password(tx, world.ann, "hash")
        accounts.set_roaming(tx, world.ann, True)
        ann = accounts.get_account(tx, world.tenant, world.ann.no)
        no = world.incoming(tx, [ann])
        lists.set_flag(tx, ann, no, "deleted", True, "device-1")
        assert count_outbound(tx, world.tenant, "up", "flag") == 1
    _tidy(world)
    assert _tidy(world, days=31) == 0
    with world.database.write() as tx:
        tx.execute(update(outbound_table).values(state="delivered"))
    assert _tidy(world, days=1) == 1


def test_a_letter_that_the_other_end_puts_back_after_it_was_emptied_here_is_seen_again(world: World) -> None:
    with world.database.write() as tx:
        no = world.incoming(tx, [world.ann, world.bob], subject="shared")
        _delete(tx, world, no)
    _tidy(world)
    _tidy(world, days=31)
    with world.database.write() as tx:
        known = tx.execute(select(entry.c.deleted_lamport).where(entry.c.account == world.ann.no)).scalar_one()
        assert entries.merge_flag(
            tx, world.tenant, world.ann.no, no, "deleted", False, known + timedelta(days=1).days, "server"
        )
        assert [row.no for row in lists.list_folder(tx, world.ann, "archive").rows] == [no]
        totals = lists.counts(tx, world.ann).totals
        entries.recount(tx, world.tenant)
        assert {name: n for name, n in totals.items() if n} == lists.counts(tx, world.ann).totals


def test_the_folders_numbers_are_right_after_emptying(world: World) -> None:
    with world.database.write() as tx:
        packages.add_waiting(tx, world.tenant, world.incoming(tx, [world.bob]), "down")
        _delete(tx, world, world.incoming(tx, [world.ann]))
        world.incoming(tx, [world.ann])
    _tidy(world)
    _tidy(world, days=31)
    with world.database.read() as tx:
        assert lists.counts(tx, world.ann).inbox_total == 1
        assert lists.list_folder(tx, world.ann, "inbox").total == 1
