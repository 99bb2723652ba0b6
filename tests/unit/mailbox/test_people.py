"""Names suggested, ways in, slips, days without a clock, sessions and leaving for good."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest
from sqlalchemy import select

from lokole.mail.errors import NotFound, Refused
from lokole.mail.model import Account
from lokole.mailbox import (
    account_records,
    accounts,
    contacts,
    days,
    drafts,
    leaving,
    letter_options,
    limits,
    lists,
    merging,
    names,
    recipients,
    rules,
    schema,
    sessions,
    slips,
    standing,
    ways,
)
from lokole.mailbox.attachments import StoredAttachment
from lokole.mailbox.database import Connection
from lokole.mailbox.drafts import Typed
from lokole.mailbox.letter_options import LetterOptions
from lokole.mailbox.schema import email
from lokole.sync.records import AccountRecord
from tests.mailbox_world import DOMAIN, World


def person(tx: Connection, world: World, name: str = "zoe", display_name: str = "") -> Account:
    return accounts.create_account(tx, world.tenant, name, password_hash="h", now=world.now, display_name=display_name)


def days_pass(tx: Connection, world: World, count: int) -> None:
    for n in range(count):
        days.note_day(tx, world.tenant, date(2026, 1, 1) + timedelta(days=n))


@pytest.mark.parametrize(
    ("called", "wanted", "first"),
    [
        ("Mireille Ilunga", "", ["mireille", "mireille.ilunga"]),
        ("Zoé", "", ["zoe"]),
        ("Œdipe Müller", "", ["oedipe", "oedipe.muller"]),
        ("Ŋgɔyɛ", "", ["ngoye"]),
        ("", "dr.mbuyi", ["dr", "dr.mbuyi"]),
        ("Admin", "", ["admin2"]),
        ("Łukasz D'Arc", "", ["lukasz", "lukasz.darc"]),
    ],
)
def test_names_are_made_from_how_somebody_is_called(world: World, called: str, wanted: str, first: list[str]) -> None:
    with world.database.read() as tx:
        found = names.suggest_names(tx, world.tenant, called, wanted=wanted)
    assert found[: len(first)] == first
    assert all(accounts.normal_name(name) == name for name in found)


def test_a_name_that_is_taken_is_varied_until_it_is_free(world: World) -> None:
    with world.database.write() as tx:
        for name in ("mireille", "mireille2", "mireille.ilunga"):
            person(tx, world, name)
        found = names.suggest_names(tx, world.tenant, "Mireille Ilunga", wanted="mireille")
        assert len(found) == 4
        assert not {"mireille", "mireille2", "mireille.ilunga"} & set(found)
        for name in found:
            names.is_free(tx, world.tenant, name)


@pytest.mark.parametrize("called", ["李小龍", "", "...", "\x00", "!!"])
def test_a_name_that_cannot_be_written_in_latin_letters_suggests_nothing(world: World, called: str) -> None:
    with world.database.read() as tx:
        assert names.suggest_names(tx, world.tenant, called) == []


@pytest.mark.parametrize("pin", ["2711", "8 0 5 1", "905-117", "170391"])
def test_a_pin_of_four_digits_or_more_is_taken(pin: str) -> None:
    assert ways.normal_pin(pin).isdigit()


@pytest.mark.parametrize(
    ("pin", "code"),
    [("123", "digits"), ("12a4", "digits"), ("", "digits"), ("1" * 13, "digits"), ("१२३४", "digits")]
    + [(pin, "weak") for pin in ("1234", "4321", "1111", "1212", "1987", "2024", "0000", "2580", "123123", "98765")],
)
def test_a_pin_that_anybody_would_try_is_refused(pin: str, code: str) -> None:
    with pytest.raises(Refused) as refusal:
        ways.normal_pin(pin)
    assert refusal.value.code == code


def test_pictures_count_in_their_order_and_three_of_the_same_do_not() -> None:
    assert ways.as_secret(["sun", "fish", "moon"]) != ways.as_secret(["fish", "sun", "moon"])
    for few in ([], ["sun"], ["sun", "fish"]):
        with pytest.raises(Refused, match="three"):
            ways.as_secret(few)
    with pytest.raises(Refused, match="anybody"):
        ways.as_secret(["sun"] * 4)
    assert ways.known_pictures(["sun", "x", "<b>", "fish"]) == ["sun", "fish"]


def test_a_new_way_ends_every_session_and_the_last_way_stays(world: World) -> None:
    with world.database.write() as tx:
        zoe = accounts.create_account(
            tx, world.tenant, "zoe", password_hash=None, now=world.now, must_change_password=True
        )
        token = sessions.create_session(tx, zoe, world.now, timedelta(days=1), bytes)
        ways.set_way(tx, zoe, ways.PIN, "h1")
        assert sessions.find_session(tx, token, world.now) is None
        assert not accounts.get_account(tx, world.tenant, zoe.no).must_change_password
        with pytest.raises(Refused, match="without a way"):
            ways.give_up(tx, zoe, ways.PIN)
        ways.set_way(tx, zoe, ways.PICTURES_WAY, "h2")
        ways.set_way(tx, zoe, ways.PICTURES_WAY, "h3")
        ways.give_up(tx, zoe, ways.PIN)
        assert ways.hashes(tx, zoe) == {ways.PICTURES_WAY: "h3"}


def test_roaming_needs_a_password_and_no_other_hash_ever_travels(world: World) -> None:
    with world.database.write() as tx:
        zoe = accounts.create_account(tx, world.tenant, "zoe", password_hash=None, now=world.now)
        ways.set_way(tx, zoe, ways.PIN, "pin-hash")
        with pytest.raises(Refused, match="password"):
            accounts.set_roaming(tx, zoe, True)
        accounts.set_password(tx, zoe, "word-hash")
        accounts.set_roaming(tx, zoe, True)
        (told,) = [one for one in account_records.accounts_to_send(tx, world.tenant) if one.address.startswith("zoe@")]
    assert told.password_hash == "word-hash"
    assert "pin-hash" not in repr(told)


def test_a_slip_takes_every_older_way_and_counts_once(world: World) -> None:
    with world.database.write() as tx:
        zoe = person(tx, world)
        ways.set_way(tx, zoe, ways.PICTURES_WAY, "h")
        slips.issue_slip(tx, zoe, "first")
        slips.issue_slip(tx, zoe, "slip")
        assert ways.hashes(tx, zoe) == {}
        assert slips.slip_hash(tx, zoe) == "slip"
        assert accounts.get_account(tx, world.tenant, zoe.no).must_change_password
        assert slips.use_slip(tx, zoe)
        assert not slips.use_slip(tx, zoe)
        assert slips.slip_hash(tx, zoe) is None


def test_a_slip_ends_after_days_of_the_box_and_not_by_a_clock_that_jumps(world: World) -> None:
    with world.database.write() as tx:
        zoe = person(tx, world)
        slips.issue_slip(tx, zoe, "slip")
        for on in (date(1970, 1, 1), date(2099, 12, 31), date(1970, 1, 1)):
            days.note_day(tx, world.tenant, on)
        assert slips.slip_hash(tx, zoe) == "slip"
        days_pass(tx, world, slips.VALID_DAYS - 2)
        assert slips.slip_hash(tx, zoe) is None
        assert not slips.use_slip(tx, zoe)


def test_many_sign_ins_on_one_date_are_one_day(world: World) -> None:
    with world.database.write() as tx:
        for _ in range(5):
            days.note_day(tx, world.tenant, date(2026, 1, 1))
        assert days.today(tx, world.tenant) == 1


def test_what_somebody_copies_from_a_slip_is_read_as_it_was_meant() -> None:
    made = slips.one_time_password(lambda n: bytes(range(n)))
    assert slips.as_typed(f" {made.upper().replace('-', ' ')}\n") == made


def test_no_stretch_of_a_minute_has_more_tries_than_there_are_places(world: World) -> None:
    minute, taken = timedelta(minutes=1), []
    now = world.now
    with world.database.write() as tx:
        for _ in range(600):
            now += timedelta(seconds=1.5)
            if limits.take_place(tx, "zoe", 6, minute, now) is not None:
                taken.append(now)
    assert len(taken) > 50
    for at in taken:
        assert sum(at <= other < at + minute for other in taken) <= 6


def test_sessions_are_shown_to_their_holder_and_others_end_but_this_one(world: World) -> None:
    with world.database.write() as tx:
        zoe = person(tx, world)
        seed = iter(range(1, 9))

        def entropy(n: int) -> bytes:
            return bytes([next(seed)]) * n

        how = sessions.HowEntered(way="pictures", browser="Android · Firefox", place="10.0.0.7", own=False)
        mine = sessions.create_session(tx, zoe, world.now, timedelta(days=1), entropy, how)
        other = sessions.create_session(tx, zoe, world.now + timedelta(minutes=1), timedelta(days=1), entropy)
        found = sessions.list_sessions(tx, zoe, world.now, timedelta(minutes=10))
        assert [(one.way, one.browser, one.own) for one in found] == [
            ("password", "", True),
            ("pictures", "Android · Firefox", False),
        ]
        assert found[1].id == sessions.id_of(mine)
        assert mine not in repr(found)
        sessions.end_other_sessions(tx, zoe, mine)
        assert sessions.find_session(tx, other, world.now) is None
        assert sessions.find_session(tx, mine, world.now) is not None


def test_the_last_use_of_a_session_is_noted_now_and_then(world: World) -> None:
    with world.database.write() as tx:
        zoe = person(tx, world)
        token = sessions.create_session(tx, zoe, world.now, timedelta(days=1), bytes)
        assert sessions.was_seen(tx, token, world.now + timedelta(minutes=14))
        later = world.now + timedelta(minutes=16)
        assert not sessions.was_seen(tx, token, later)
        sessions.note_seen(tx, token, later)
        assert sessions.list_sessions(tx, zoe, later, timedelta(minutes=10))[0].seen == later


def test_a_session_that_a_shared_telephone_forgot_is_neither_shown_nor_kept(world: World) -> None:
    idle = timedelta(minutes=10)
    with world.database.write() as tx:
        zoe = person(tx, world)
        seed = iter(range(1, 9))

        def entropy(n: int) -> bytes:
            return bytes([next(seed)]) * n

        shared = sessions.HowEntered(own=False)
        for how in (shared, sessions.HowEntered()):
            sessions.create_session(tx, zoe, world.now, timedelta(days=1), entropy, how)
        token = sessions.create_session(tx, zoe, world.now, timedelta(days=1), entropy, shared)
        assert not sessions.was_seen(tx, token, world.now + timedelta(minutes=1), sessions.seen_every(own=False))
        # the note lags by up to a minute: so long it may still open something
        assert len(sessions.list_sessions(tx, zoe, world.now + idle + timedelta(seconds=59), idle)) == 3
        over = world.now + idle + timedelta(minutes=1)
        assert [one.own for one in sessions.list_sessions(tx, zoe, over, idle)] == [True]
        assert sessions.forget_over(tx, world.tenant, over, idle) == 2
        assert sessions.forget_over(tx, world.tenant, over, idle) == 0


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("  Mireille   Ilunga ", "Mireille Ilunga"),
        ("Dr. <b>X</b>", "Dr. b X /b"),
        ("a\r\nBcc: all", "a Bcc: all"),
        ("x" * 99, "x" * 60),
        ('"boss" me@elsewhere', "boss me elsewhere"),
    ],
)
def test_a_display_name_cannot_break_a_header(world: World, typed: str, kept: str) -> None:
    with world.database.write() as tx:
        zoe = person(tx, world, display_name=typed)
        assert zoe.display_name == kept
        assert zoe.contact.name == kept


def test_who_leaves_takes_what_only_they_had_and_leaves_others_theirs(world: World) -> None:
    with world.database.write() as tx:
        ann, zoe = world.ann, person(tx, world)
        alone = world.incoming(tx, [zoe], subject="only mine")
        both = world.incoming(tx, [zoe, ann], subject="for two")
        bag = world.written(tx, zoe, to=("out@example.org",), subject="in the bag")
        token = sessions.create_session(tx, zoe, world.now, timedelta(days=1), bytes)
        ways.set_way(tx, ann, ways.PIN, "h")
        leaving.remove_account(tx, zoe)
        assert accounts.find_account(tx, world.tenant, "zoe") is None
        assert accounts.find_account_no(tx, world.tenant, "zoe") is None
        assert "zoe" not in [one.name for one in accounts.list_accounts(tx, world.tenant)]
        with pytest.raises(NotFound):
            accounts.get_account(tx, world.tenant, zoe.no)
        assert sessions.find_session(tx, token, world.now) is None
        subjects = dict(tx.execute(select(email.c.order_no, email.c.subject)).all())
        assert (subjects[alone], subjects[both], subjects[bag]) == ("", "for two", "in the bag")
        assert lists.get_entry(tx, ann, both) is not None
        told = {one.address.partition("@")[0]: one for one in account_records.accounts_to_send(tx, world.tenant)}["zoe"]
        assert told.removed
        assert told.password_hash is None


def test_who_leaves_takes_nothing_that_somebody_still_to_come_is_to_get(world: World) -> None:
    """The envelope names somebody who has not signed up (again) yet."""
    address = f"kofi@{DOMAIN}"
    with world.database.write() as tx:
        zoe = person(tx, world)
        no = world.incoming(tx, [zoe], subject="for two")
        recipients.set_envelope(tx, world.tenant, no, {str(zoe.address): "delivered", address: "unknown"})
        leaving.remove_account(tx, zoe)
        kofi = person(tx, world, name="kofi")
        (row,) = lists.list_folder(tx, kofi, "inbox").rows
        assert row.subject == "for two"


def test_who_leaves_leaves_no_draft_address_or_rule_behind_and_no_other_name(world: World) -> None:
    with world.database.write() as tx:
        zoe, second = person(tx, world), person(tx, world, name="zoe2")
        merging.merge_people(tx, second, zoe)
        standing.set_listed(tx, zoe, True)
        contacts.put_contact(tx, zoe, "kofi@example.org", "Kofi", None)
        contacts.put_group(tx, zoe, "Choir", ["kofi@example.org"], None)
        rules.add_rule(tx, zoe, "subject", "bill", "star", "")
        letter_options.set_options(tx, zoe, LetterOptions("Zoé", True, "I am away.", None, None))
        file = StoredAttachment("a.txt", "text/plain", None, "0" * 64, 3)
        drafts.save_draft(tx, zoe, "0" * 32, 0, Typed("kofi", subject="A secret", files=(file,)), world.now)
        leaving.remove_account(tx, zoe)
        left = {
            f"{table.name}.{column.name}"
            for table in schema.metadata.sorted_tables
            for column in table.columns
            if any(key.column is schema.account.c.no for key in column.foreign_keys)
            and tx.execute(select(column).where(column == zoe.no)).first()
        }
        assert left == set()
        assert tx.execute(select(schema.draft_file)).first() is None
        # the server sends letters to the other name back, too, and it rests as long
        told = {one.address: one for one in account_records.accounts_to_send(tx, world.tenant)}
        assert told[f"zoe2@{DOMAIN}"].removed
        for name in ("zoe", "zoe2"):
            with pytest.raises(Refused) as refusal:
                person(tx, world, name=name)
            assert refusal.value.code == "resting"


def test_a_name_rests_and_then_belongs_to_somebody_with_nothing_of_the_one_before(world: World) -> None:
    with world.database.write() as tx:
        zoe = person(tx, world)
        accounts.set_language(tx, zoe, "fr")
        leaving.remove_account(tx, zoe)
        with pytest.raises(Refused) as refusal:
            person(tx, world)
        assert refusal.value.code == "resting"
        assert "zoe" not in names.suggest_names(tx, world.tenant, "Zoe")
        days_pass(tx, world, accounts.NAME_RESTS_DAYS + 1)
        new = person(tx, world)
        assert new.no != zoe.no
        (told,) = [one for one in account_records.accounts_to_send(tx, world.tenant) if one.address.startswith("zoe@")]
        assert told.version > 3
        assert not told.removed


def test_the_server_takes_the_leaving_and_later_the_new_person(world: World) -> None:
    said = AccountRecord(f"zoe@{DOMAIN}", "h", "fr", 3, name="Zoé K")
    with world.database.write() as tx:
        leaving.take_account(tx, world.tenant, said, world.now)
        zoe = accounts.find_account(tx, world.tenant, "zoe")
        assert zoe is not None
        assert zoe.display_name == "Zoé K"
        leaving.take_account(tx, world.tenant, replace(said, password_hash=None, version=4, removed=True), world.now)
        leaving.take_account(tx, world.tenant, said, world.now)  # an older word comes late
        assert accounts.find_account(tx, world.tenant, "zoe") is None
        leaving.take_account(tx, world.tenant, replace(said, version=5), world.now)
        assert accounts.find_account(tx, world.tenant, "zoe") is not None
