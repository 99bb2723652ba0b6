from __future__ import annotations

from datetime import timedelta

import pytest

from lokole.mail.errors import NotFound, Refused
from lokole.mailbox import account_records, accounts, sessions, tenants
from lokole.sync.records import AccountRecord
from tests.mailbox_world import DOMAIN, World


@pytest.mark.parametrize("name", ["zoe", "Zoe.K", "z-1", "1234", "a" * 64, "a--b"])
def test_names_of_letters_digits_dots_and_dashes_are_taken_in_lower_case(world: World, name: str) -> None:
    with world.database.write() as tx:
        person = accounts.create_account(tx, world.tenant, name, password_hash=None, now=world.now)
        assert person.name == name.lower()
        assert str(person.address) == f"{name.lower()}@{DOMAIN}"
        assert accounts.find_account(tx, world.tenant, name.upper()) == person


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("", "name"),
        ("a b", "name"),
        ("a@b", "name"),
        (".a", "name"),
        ("a.", "name"),
        ("a..b", "name"),
        ("-a", "name"),
        ("é", "name"),
        ("a_b", "name"),
        ("a" * 65, "name"),
        ("a\n", "taken"),
        ("news", "reserved"),
        ("Admin", "reserved"),
        ("postmaster", "reserved"),
        ("mailer-daemon", "reserved"),
        ("ABUSE", "reserved"),
        ("ann", "taken"),
        (" Ann ", "taken"),
    ],
)
def test_a_name_that_is_no_name_or_not_free_is_refused(world: World, name: str, code: str) -> None:
    with world.database.write() as tx:
        accounts.create_account(tx, world.tenant, "a", password_hash=None, now=world.now)
        with pytest.raises(Refused) as refusal:
            accounts.create_account(tx, world.tenant, name, password_hash=None, now=world.now)
    assert (refusal.value.code, refusal.value.field) == (code, "name")


def test_the_command_line_may_make_admin(world: World) -> None:
    with world.database.write() as tx:
        person = accounts.create_account(
            tx,
            world.tenant,
            "admin",
            password_hash="h",
            now=world.now,
            is_admin=True,
            must_change_password=True,
            allow_reserved=True,
        )
        assert person.is_admin and person.must_change_password
        with pytest.raises(Refused):
            accounts.create_account(tx, world.tenant, "a b", password_hash=None, now=world.now, allow_reserved=True)


def test_the_same_name_may_live_at_two_devices(world: World) -> None:
    with world.database.write() as tx:
        other = tenants.add_tenant(
            tx, domain="other.lokole.ca", device_id="d2", state="claimed", webhook_secret="w2", now=world.now
        )
        person = accounts.create_account(tx, other, "ann", password_hash=None, now=world.now)
        with pytest.raises(NotFound):
            accounts.get_account(tx, world.tenant, person.no)
        assert [one.name for one in accounts.list_accounts(tx, other)] == ["ann"]
        assert accounts.count_accounts(tx, world.tenant) == 3


def test_changes_wait_to_be_told_until_they_are_acknowledged(world: World) -> None:
    with world.database.write() as tx:
        told = {one.address: one.version for one in account_records.accounts_to_send(tx, world.tenant)}
        assert sorted(told) == [f"{name}@{DOMAIN}" for name in ("ann", "bob", "eve")]
        accounts.set_language(tx, world.ann, "fr")
        account_records.mark_accounts_sent(tx, world.tenant, told)
        (left,) = account_records.accounts_to_send(tx, world.tenant)
        assert (left.address, left.language) == (f"ann@{DOMAIN}", "fr")
        account_records.mark_accounts_sent(tx, world.tenant, {left.address: left.version})
        account_records.mark_accounts_sent(tx, world.tenant, {left.address: 1})
        assert account_records.accounts_to_send(tx, world.tenant) == []


def test_a_hash_leaves_the_box_only_for_who_turned_roaming_on(world: World) -> None:
    with world.database.write() as tx:
        accounts.set_password(tx, world.ann, "hash-a")
        accounts.set_password(tx, world.bob, "hash-b")
        accounts.set_roaming(tx, world.bob, True)
        sent = {
            one.address.partition("@")[0]: one.password_hash
            for one in account_records.accounts_to_send(tx, world.tenant)
        }
    assert sent == {"ann": None, "bob": "hash-b", "eve": None}


def test_what_a_device_says_of_its_people_is_taken_in_by_version(world: World) -> None:
    address = f"Zoe@{DOMAIN}"
    with world.database.write() as tx:
        tell = account_records.upsert_from_device
        person, new = tell(tx, world.tenant, AccountRecord(address, "hash", "fr", 3), world.now)
        assert new and person.roaming and person.language == "fr"
        again, new = tell(tx, world.tenant, AccountRecord(address, "older", "en", 2), world.now)
        assert not new and again == person
        assert accounts.password_hash(tx, person) == "hash"
        off, _ = tell(tx, world.tenant, AccountRecord(address, None, None, 4), world.now)
        assert not off.roaming and off.language == "fr"
        assert accounts.password_hash(tx, person) is None
        assert f"zoe@{DOMAIN}" not in {one.address for one in account_records.accounts_to_send(tx, world.tenant)}


@pytest.mark.parametrize(
    ("address", "code"),
    [("bob@other.lokole.ca", "foreign"), (f"bob@x.{DOMAIN}", "foreign"), ("bob", "address"), ("", "address")],
)
def test_a_device_cannot_speak_for_the_people_of_another(world: World, address: str, code: str) -> None:
    with world.database.write() as tx:
        with pytest.raises(Refused) as refusal:
            account_records.upsert_from_device(tx, world.tenant, AccountRecord(address, "stolen", None, 9), world.now)
        assert refusal.value.code == code
        assert accounts.password_hash(tx, world.bob) is None


def test_a_session_lasts_its_time_and_ends_when_told(world: World) -> None:
    with world.database.write() as tx:
        make = sessions.create_session
        one = make(tx, world.ann, world.now, timedelta(hours=1), world.entropy)
        two = make(tx, world.ann, world.now, timedelta(hours=1), world.entropy)
        other = make(tx, world.bob, world.now, timedelta(hours=1), world.entropy)
        assert len({one, two, other}) == 3 and len(one) == 43
        assert sessions.find_session(tx, one, world.now) == accounts.get_account(tx, world.tenant, world.ann.no)
        assert sessions.find_session(tx, one + "x", world.now) is None
        sessions.end_session(tx, one)
        assert sessions.find_session(tx, one, world.now) is None
        sessions.end_all_sessions(tx, world.ann)
        assert sessions.find_session(tx, two, world.now) is None
        assert sessions.find_session(tx, other, world.now) is not None
        world.later(hours=1)
        assert sessions.find_session(tx, other, world.now) is None
        assert sessions.forget_over(tx, world.tenant, world.now, timedelta(minutes=10)) == 1


@pytest.mark.parametrize("what", ["password", "suspended"])
def test_a_new_password_and_a_suspension_end_every_session(world: World, what: str) -> None:
    with world.database.write() as tx:
        token = sessions.create_session(tx, world.ann, world.now, timedelta(days=1), world.entropy)
        if what == "password":
            accounts.set_password(tx, world.ann, "new")
        else:
            accounts.set_suspended(tx, world.ann, True)
        assert sessions.find_session(tx, token, world.now) is None


def test_a_suspended_person_has_no_session_until_let_in_again(world: World) -> None:
    with world.database.write() as tx:
        accounts.set_suspended(tx, world.ann, True)
        token = sessions.create_session(tx, world.ann, world.now, timedelta(days=1), world.entropy)
        assert sessions.find_session(tx, token, world.now) is None
        accounts.set_suspended(tx, world.ann, False)
        assert sessions.find_session(tx, token, world.now) is not None


def test_the_database_does_not_hold_the_token(world: World) -> None:
    with world.database.write() as tx:
        token = sessions.create_session(tx, world.ann, world.now, timedelta(days=1), world.entropy)
        (row,) = tx.exec_driver_sql("SELECT * FROM session").all()
    assert token not in repr(row) and token.encode() not in b"".join(v for v in row if isinstance(v, bytes))


def test_properties_of_a_person_are_kept(world: World) -> None:
    with world.database.write() as tx:
        accounts.set_time_zone(tx, world.ann, "Africa/Kinshasa")
        accounts.set_admin(tx, world.ann, True)
        accounts.rehash_password(tx, world.ann, "stronger")
        accounts.record_login(tx, world.ann, world.now)
        after = accounts.get_account(tx, world.tenant, world.ann.no)
        assert (after.time_zone, after.is_admin, after.last_login_at) == ("Africa/Kinshasa", True, world.now)
        assert accounts.password_hash(tx, after) == "stronger"
