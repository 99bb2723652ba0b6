"""What an administrator decides for people: limits, one out of two, the log, the board."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import insert, select, text

from lokole.mail.errors import NotFound, Refused
from lokole.mail.model import Contact, Email, EmailId
from lokole.mailbox import account_records, accounts, audit, board, lists, merging, schema, standing
from lokole.mailbox import search as full_text
from lokole.mailbox.allowances import BoxLimits, box_limits, set_box_limits
from lokole.mailbox.attachments import StoredAttachment
from lokole.mailbox.database import Connection
from lokole.mailbox.entries import recount, set_flag
from lokole.mailbox.forgetting import forget_content
from lokole.mailbox.fulltext import rebuild
from lokole.mailbox.letters import read_email, write_letter
from lokole.mailbox.options import set_option
from tests.mailbox_world import DOMAIN, World


def refused(world: World, tx: Connection, to: str = "out@example.org", size: int = 0, **values: Any) -> str:
    """The code with which a letter of Ann is refused; empty when it goes."""
    files = [StoredAttachment("f", "text/plain", None, "0" * 64, size)] * values.pop("files", 1 if size else 0)
    try:
        with tx.begin_nested():
            write_letter(
                tx, world.tenant, world.ann, Email(Contact(""), to=(Contact(to),), body="<p>text</p>"),
                id=EmailId(world.entropy(16)), now=world.now, attachments=files,
            )  # fmt: skip
    except Refused as error:
        return error.code
    return ""


def test_after_the_paid_day_letters_go_to_people_here_only(world: World) -> None:
    with world.database.write() as tx:
        standing.set_paid_until(tx, world.ann, world.now + timedelta(days=1))
        assert refused(world, tx) == ""
        world.later(days=1)
        assert refused(world, tx) == "unpaid"
        assert refused(world, tx, f"bob@{DOMAIN}") == ""
        standing.set_paid_until(tx, world.ann, None)
        assert refused(world, tx) == ""


def test_who_writes_to_people_here_only_writes_to_them(world: World) -> None:
    with world.database.write() as tx:
        standing.set_local_only(tx, world.ann, True)
        assert refused(world, tx) == "local-only"
        assert refused(world, tx, f"bob@{DOMAIN}") == ""


def test_the_limits_of_the_box_hold_for_letters_into_the_world(world: World) -> None:
    with world.database.write() as tx:
        set_box_limits(tx, world.tenant, BoxLimits(letter_bytes=1000, files=2, letters_a_day=2))
        assert refused(world, tx, size=990) == "letter-size"
        assert refused(world, tx, f"bob@{DOMAIN}", size=990) == ""
        assert refused(world, tx, size=10, files=3) == "letter-files"
        assert [refused(world, tx) for _ in range(3)] == ["", "", "letters-a-day"]
        assert refused(world, tx, f"bob@{DOMAIN}") == ""
        world.later(days=1, minutes=1)
        assert refused(world, tx) == ""


def test_limits_that_make_no_sense_are_no_limits(world: World) -> None:
    with world.database.write() as tx:
        senseless: tuple[Any, ...] = ([], {"files": "two", "letter_bytes": -4, "night_bytes": True}, "x")
        for nonsense in senseless:
            set_option(tx, world.tenant, "limits", nonsense)
            assert box_limits(tx, world.tenant) == BoxLimits()


def test_a_full_mailbox_still_takes_letters_in_and_sends_again_when_there_is_room(world: World) -> None:
    with world.database.write() as tx:
        no = world.incoming(tx, [world.ann], body="x" * 5000)
        standing.set_quota(tx, world.ann, 3000)
        assert refused(world, tx, f"bob@{DOMAIN}") == "full"
        later = world.incoming(tx, [world.ann], body="y" * 5000)
        assert {row.no for row in lists.list_folder(tx, world.ann, "inbox").rows} == {no, later}
        for number in (no, later):
            set_flag(tx, world.ann, number, "deleted", True, "device-1")
        assert refused(world, tx, f"bob@{DOMAIN}") == ""


def test_the_last_administrator_stays_one(world: World) -> None:
    with world.database.write() as tx:
        accounts.set_admin(tx, world.ann, True)
        chief = accounts.get_account(tx, world.tenant, world.ann.no)
        with pytest.raises(Refused) as caught:
            accounts.set_admin(tx, chief, False)
        assert caught.value.code == "last-admin"
        accounts.set_admin(tx, world.bob, True)
        accounts.set_admin(tx, chief, False)
        assert accounts.count_admins(tx, world.tenant) == 1


# --- one out of two ------------------------------------------------------------------------------


def test_two_people_become_one_with_all_letters_once(world: World) -> None:
    with world.database.write() as tx:
        both = world.incoming(tx, [world.ann, world.bob], subject="both")
        only = world.incoming(tx, [world.bob], subject="only")
        thrown = world.incoming(tx, [world.ann, world.bob], subject="thrown")
        set_flag(tx, world.ann, thrown, "deleted", True, "device-1")
        set_flag(tx, world.bob, both, "read", True, "device-1")
        sent = world.written(tx, world.bob, to=("out@example.org",), subject="sent")
        assert merging.merge_people(tx, world.bob, world.ann) == 2

        rows = {row.no: row for row in lists.list_folder(tx, world.ann, "inbox").rows}
        assert set(rows) == {both, only, thrown}
        assert rows[both].read
        assert [row.no for row in lists.list_folder(tx, world.ann, "sent").rows] == [sent]
        # the writer sees how far the letter is
        entry = lists.get_entry(tx, world.ann, sent)
        assert entry is not None
        assert [one.address for one in entry.deliveries] == ["out@example.org"]
        assert [row.no for row in full_text.search(tx, world.ann, "only").rows] == [only]
        assert {row.no for row in full_text.search(tx, world.ann, "thrown").rows} == {thrown}
        assert full_text.search(tx, world.bob, "only").rows == ()
        if tx.dialect.name == "sqlite":
            # the index is as if it were made anew: a word too many would stay for ever
            words = text("SELECT term, doc FROM letter_vocabulary ORDER BY 1, 2")
            tx.execute(
                text("CREATE VIRTUAL TABLE temp.letter_vocabulary USING fts5vocab(main, letter_words, instance)")
            )
            found = tx.execute(words).all()
            rebuild(tx)
            assert tx.execute(words).all() == found
        counts = lists.counts(tx, world.ann)
        recount(tx, world.tenant)
        assert lists.counts(tx, world.ann) == counts


def test_the_old_name_goes_on_as_another_name(world: World) -> None:
    with world.database.write() as tx:
        merging.merge_people(tx, world.eve, world.bob)
        merging.merge_people(tx, world.bob, world.ann)
        for name in ("eve", "BOB"):
            assert accounts.find_account_no(tx, world.tenant, name) == world.ann.no
            found = accounts.find_account(tx, world.tenant, name)
            assert found is not None
            assert found.name == "ann"
        assert merging.names_before(tx, world.ann) == ["bob", "eve"]
        assert [one.name for one in accounts.list_accounts(tx, world.tenant)] == ["ann"]
        assert accounts.count_accounts(tx, world.tenant) == 1
        with pytest.raises(NotFound):
            accounts.get_account(tx, world.tenant, world.bob.no)
        with pytest.raises(Refused):
            accounts.create_account(tx, world.tenant, "bob", password_hash=None, now=world.now)
        # the other end hears of it, with a name that lives and no password
        told = {one.address: one for one in account_records.accounts_to_send(tx, world.tenant)}
        assert told[f"bob@{DOMAIN}"].password_hash is None
        assert refused(world, tx, f"eve@{DOMAIN}") == ""


def test_what_others_keep_for_a_person_goes_over_and_nothing_is_there_twice(world: World) -> None:
    with world.database.write() as tx:
        for account, id in ((world.ann, "a"), (world.bob, "a"), (world.bob, "b")):
            tx.execute(insert(schema.folder).values(tenant=world.tenant, account=account.no, id=id, name=id))
        merging.merge_people(tx, world.bob, world.ann)
        rows = tx.execute(select(schema.folder.c.account, schema.folder.c.id)).all()
        assert sorted(tuple(row) for row in rows) == [(world.ann.no, "a"), (world.ann.no, "b")]
        with pytest.raises(Refused):
            merging.merge_people(tx, world.ann, world.ann)


# --- the log -------------------------------------------------------------------------------------


def test_the_log_keeps_the_newest_and_is_one_with_what_was_done(world: World) -> None:
    with world.database.write() as tx:
        for n in range(7):
            audit.note_act(tx, world.ann, "made", world.later(minutes=1), subject=f"p{n}", kept=5)
        assert [one.subject for one in audit.last_acts(tx, world.tenant)] == ["p6", "p5", "p4", "p3", "p2"]
        second = audit.last_acts(tx, world.tenant, limit=2)
        assert [one.subject for one in audit.last_acts(tx, world.tenant, before=second[-1].no)] == ["p4", "p3", "p2"]
    with pytest.raises(ZeroDivisionError), world.database.write() as tx:
        accounts.set_suspended(tx, world.bob, True)
        audit.note_act(tx, world.ann, "suspend", world.now)
        raise ZeroDivisionError
    with world.database.read() as tx:
        assert not any(one.act == "suspend" for one in audit.last_acts(tx, world.tenant))


# --- the board -----------------------------------------------------------------------------------


def test_only_who_may_hangs_something_up(world: World) -> None:
    with world.database.write() as tx:
        letter = Email(Contact("chief@elsewhere.org"), subject="Water", body="<p>Tuesday</p>")
        with pytest.raises(Refused) as caught:
            board.hang_up(tx, world.ann, letter, id=EmailId(world.entropy(16)), now=world.now)
        assert caught.value.code == "no-post"
        assert refused(world, tx, f"News@{DOMAIN}") == "no-post"
        standing.set_may_post(tx, world.ann, True)
        no = board.hang_up(tx, world.ann, letter, id=EmailId(world.entropy(16)), now=world.now)
        found, stored = board.get_post(tx, world.tenant, no, world.now, only_public=False)
        assert found.sender_address == f"ann@{DOMAIN}"
        assert stored.email.body == "<p>Tuesday</p>"
        assert refused(world, tx, f"News@{DOMAIN}") == ""
        assert board.posts(tx, world.tenant, world.now, only_public=False)[1] == 2
        assert board.posts(tx, world.tenant, world.now, only_public=True)[1] == 0


def test_what_hangs_comes_down_by_its_day_or_by_hand(world: World) -> None:
    with world.database.write() as tx:
        standing.set_may_post(tx, world.ann, True)
        nos = [
            board.hang_up(
                tx, world.ann, Email(Contact(""), subject=str(n)), id=EmailId(world.entropy(16)), now=world.now,
                public=True, pinned=n == 0, expires_at=world.now + timedelta(days=7) if n == 1 else None,
            )
            for n in range(3)
        ]  # fmt: skip
        assert [one.no for one in board.posts(tx, world.tenant, world.now, only_public=True)[0]] == [
            nos[0], nos[2], nos[1],
        ]  # fmt: skip
        world.later(days=8)
        assert [one.no for one in board.posts(tx, world.tenant, world.now, only_public=True)[0]] == [nos[0], nos[2]]
        with pytest.raises(NotFound):
            board.take_down(tx, world.bob, nos[0])
        board.take_down(tx, world.ann, nos[0])
        with pytest.raises(NotFound):
            board.get_post(tx, world.tenant, nos[0], world.now, only_public=False)
        assert read_email(tx, world.tenant, nos[0]).email.subject == ""


def test_what_hangs_outlives_the_copy_of_its_writer(world: World) -> None:
    with world.database.write() as tx:
        standing.set_may_post(tx, world.ann, True)
        no = world.written(tx, world.ann, to=(f"news@{DOMAIN}", f"bob@{DOMAIN}"), subject="Water")
        forget_content(tx, world.tenant, [no])
        assert read_email(tx, world.tenant, no).email.subject == "Water"
        board.take_down(tx, world.ann, no)  # it hangs no more, and Bob keeps his letter
        assert read_email(tx, world.tenant, no).email.subject == "Water"
        forget_content(tx, world.tenant, [no])
        assert read_email(tx, world.tenant, no).email.subject == ""


def test_a_letter_in_the_bag_leaves_though_its_post_is_taken_down(world: World) -> None:
    with world.database.write() as tx:
        standing.set_may_post(tx, world.ann, True)
        no = world.written(tx, world.ann, to=(f"news@{DOMAIN}", "out@example.org"), subject="Water")
        set_flag(tx, world.ann, no, "deleted", True, "device-1")
        board.take_down(tx, world.ann, no)
        assert read_email(tx, world.tenant, no).email.subject == "Water"


def test_news_from_elsewhere_needs_a_listed_sender_and_the_servers_word(world: World) -> None:
    with world.database.write() as tx:
        with pytest.raises(Refused):
            board.set_news_senders(tx, world.tenant, ["no address"])
        board.set_news_senders(tx, world.tenant, ["Office@Example.ORG", "office@example.org"])
        assert board.news_senders(tx, world.tenant) == ["office@example.org"]
        for sender, proven, hangs in (
            ("OFFICE@example.org", True, True),
            ("office@example.org", False, False),
            ("other@example.org", True, False),
            ("", True, False),
        ):
            assert board.is_news(tx, world.tenant, sender, proven=proven) is hangs


def test_people_are_found_by_a_part_of_their_names_and_in_pages(world: World) -> None:
    with world.database.write() as tx:
        accounts.set_display_name(tx, world.bob, 'Robert "Bob" <x@y> Ilunga')
        standing.set_listed(tx, world.eve, True)
        people, total = accounts.some_accounts(tx, world.tenant, words="ilung")
        assert [(one.name, one.display_name) for one in people] == [("bob", "Robert Bob x y Ilunga")]
        assert total == 1
        assert accounts.some_accounts(tx, world.tenant, words="100%")[1] == 0
        people, total = accounts.some_accounts(tx, world.tenant, offset=1, limit=1)
        assert ([one.name for one in people], total) == (["bob"], 3)
        assert [one.name for one in accounts.some_accounts(tx, world.tenant, only_listed=True)[0]] == ["eve"]
        accounts.set_suspended(tx, world.eve, True)
        assert accounts.some_accounts(tx, world.tenant, only_listed=True)[1] == 0
