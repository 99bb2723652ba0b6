"""The small tables: what was seen, quarantine, limits, options, visits, identity."""

from __future__ import annotations

from datetime import timedelta

import pytest

from lokole.mail.errors import NotFound
from lokole.mailbox import identity, limits, options, quarantine, seen, tenants, visits
from lokole.sync.ids import email_id
from tests.mailbox_world import START, World


def test_what_was_seen_once_is_known_for_ever(world: World) -> None:
    with world.database.write() as tx:
        for key in ("plain", "x" * 500, "odd\x00\ud800é"):
            assert seen.remember(tx, world.tenant, "uid", key, START, 3)
            assert not seen.remember(tx, world.tenant, "uid", key, START, 4)
            assert seen.remember(tx, world.tenant, "incoming", key, START)
            assert seen.find_by_uid(tx, world.tenant, key) == 3
            assert seen.was_seen(tx, world.tenant, "incoming", key)
            assert seen.seen_email(tx, world.tenant, "incoming", key) is None
        assert not seen.was_seen(tx, world.tenant, "uid", "y" * 500)
        assert seen.forget_before(tx, "incoming", START) == 0
        assert seen.forget_before(tx, "incoming", world.later(days=1)) == 3


def test_a_name_is_seen_per_tenant(world: World) -> None:
    with world.database.write() as tx:
        other = tenants.add_tenant(
            tx, domain="o.lokole.ca", device_id="o", state="claimed", webhook_secret="o", now=START
        )
        assert seen.remember(tx, world.tenant, "uid", "same", START)
        assert seen.remember(tx, other, "uid", "same", START)


def test_quarantine_keeps_a_thing_once_and_apart_by_tenant(world: World) -> None:
    with world.database.write() as tx:

        def keep(key: str, tenant: int | None = world.tenant) -> bool:
            return quarantine.quarantine(
                tx,
                tenant=tenant,
                kind="record",
                source="package 1",
                reason="no date",
                raw_ref="raw/x",
                key=key,
                now=START,
            )

        assert keep("1") and not keep("1") and keep("2" * 300) and not keep("2" * 300) and keep("3", None)
        mine = quarantine.list_quarantine(tx, world.tenant)
        assert [one.reason for one in mine] == ["no date", "no date"]
        assert quarantine.count_quarantine(tx, world.tenant) == 2
        assert quarantine.count_quarantine(tx) == 1
        assert quarantine.count_quarantine(tx, everybody=True) == 3
        (nobodys,) = quarantine.list_quarantine(tx)
        with pytest.raises(NotFound):
            quarantine.resolve(tx, world.tenant, nobodys.no, START)
        quarantine.resolve(tx, world.tenant, mine[0].no, START)
        assert quarantine.list_quarantine(tx, world.tenant) == mine[1:]
        assert quarantine.get_quarantined(tx, world.tenant, mine[0].no).resolved_at == START
        assert quarantine.list_quarantine(tx, world.tenant, before=mine[1].no) == []


def test_a_window_of_counts_ends_and_begins_anew(world: World) -> None:
    window = timedelta(minutes=1)
    with world.database.write() as tx:
        assert [limits.add_count(tx, "k", window, world.now) for _ in range(3)] == [1, 2, 3]
        assert limits.get_count(tx, "k", world.now) == 3
        assert limits.get_expiry(tx, "k", world.now) == world.now + window
        world.later(seconds=30)
        assert limits.add_count(tx, "k", window, world.now, amount=2) == 5
        assert limits.get_expiry(tx, "k", world.now) == START + window
        world.later(seconds=30)
        assert limits.get_count(tx, "k", world.now) == 0
        assert limits.get_expiry(tx, "k", world.now) == world.now
        assert limits.add_count(tx, "k", window, world.now) == 1
        assert limits.add_count(tx, "long " * 100, window, world.now) == 1
        limits.clear_count(tx, "k")
        assert limits.get_count(tx, "k", world.now) == 0
        assert limits.forget_expired(tx, world.later(hours=1)) == 1
        limits.add_count(tx, "k", window, world.now)
        assert limits.reset_counts(tx) == 1


def test_options_are_what_was_set_last(world: World) -> None:
    with world.database.write() as tx:
        assert options.get_option(tx, world.tenant, "schedule", {"hours": [2]}) == {"hours": [2]}
        for value in ({"cron": "0 2 * * *"}, None, [1, "é"], False):
            options.set_option(tx, world.tenant, "schedule", value)
            assert options.get_option(tx, world.tenant, "schedule", "default") == value
        options.forget_option(tx, world.tenant, "schedule")
        assert options.get_option(tx, world.tenant, "schedule") is None


def test_meetings_are_listed_newest_first_and_a_broken_one_is_told(world: World) -> None:
    with world.database.write() as tx:
        one = visits.start_visit(tx, world.tenant, world.now)
        visits.end_visit(tx, world.tenant, one, world.later(minutes=2), result="ok", letters_up=3, bytes_down=9)
        visits.start_visit(tx, world.tenant, world.later(days=1))
        assert [(one.result, one.letters_up) for one in visits.last_visits(tx, world.tenant)] == [
            ("running", 0),
            ("ok", 3),
        ]
        assert visits.close_broken_visits(tx, world.tenant, world.now) == 1
        newest, _ = visits.last_visits(tx, world.tenant)
        assert (newest.result, newest.ended_at) == ("broken", world.now)
        assert len(visits.last_visits(tx, world.tenant, 1)) == 1
        with pytest.raises(NotFound):
            visits.end_visit(tx, world.tenant, 99, world.now, result="ok")


def test_ids_are_made_of_origin_epoch_and_consecutive_numbers(world: World) -> None:
    with world.database.write() as tx:
        epoch = identity.ensure_identity(tx, world.entropy)
        assert epoch == identity.ensure_identity(tx, world.entropy) and 0 <= epoch < 2**63
        made = [identity.next_email_id(tx, "device-1") for _ in range(3)]
        assert made == [email_id("device-1", epoch, n) for n in (1, 2, 3)]
        renewed = identity.renew_epoch(tx, world.entropy)
        assert renewed != epoch
        assert identity.next_email_id(tx, "device-1") == email_id("device-1", renewed, 1)


def test_an_id_is_not_used_up_by_a_transaction_that_failed(world: World) -> None:
    with world.database.write() as tx:
        first = identity.next_email_id(tx, "device-1")
    with pytest.raises(ZeroDivisionError), world.database.write() as tx:
        identity.next_email_id(tx, "device-1")
        raise ZeroDivisionError
    with world.database.write() as tx:
        epoch = identity.ensure_identity(tx, world.entropy)
        assert [first, identity.next_email_id(tx, "device-1")] == [email_id("device-1", epoch, n) for n in (1, 2)]


def test_lamport_numbers_rise_above_all_that_was_seen(world: World) -> None:
    with world.database.write() as tx:
        first = identity.next_lamport(tx, world.tenant)
        identity.observe_lamport(tx, world.tenant, first + 10)
        identity.observe_lamport(tx, world.tenant, first)
        assert identity.next_lamport(tx, world.tenant) == first + 11


def test_what_one_tenant_says_raises_nobody_elses_lamports(world: World) -> None:
    with world.database.write() as tx:
        other = tenants.add_tenant(
            tx, domain="other.lokole.ca", device_id="d2", state="claimed", webhook_secret="w2", now=world.now
        )
        identity.observe_lamport(tx, other, 2**62 - 1)
        assert identity.next_lamport(tx, world.tenant) == 1
        assert identity.next_lamport(tx, other) == 2**62


def test_a_secret_is_made_once(world: World) -> None:
    with world.database.write() as tx:
        assert identity.find_secret(tx, "key") is None
        made = identity.get_secret(tx, "key", lambda: world.entropy(32))
        assert identity.get_secret(tx, "key", lambda: world.entropy(32)) == made == identity.find_secret(tx, "key")
