"""A box gets its place at a server, and an administrator."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lokole.adapters.sync_peer.in_process import InProcessExchange
from lokole.device.admin import make_admin
from lokole.device.box import Box
from lokole.device.register import register
from lokole.device.schedule import SCHEDULE_OPTION, load_schedule
from lokole.device.signer import COUNTER_OPTION, TWIN_OPTION, RequestCounter
from lokole.mail.errors import Refused, Temporary
from lokole.mail.model import Attachment, DeviceId
from lokole.mailbox import accounts, lists, passwords, slips
from lokole.mailbox.attachments import load_attachments
from lokole.mailbox.options import get_option, set_option
from lokole.sync.records import EmailRecord
from lokole.sync.signing import public_key
from lokole.testing import CountedEntropy, FrozenClock, make_box
from tests.unit.device.people import person, records_of, write

Asked = list[tuple[str, str, bytes]]


def unregistered(folder: Path, *answers: tuple[DeviceId, str] | Exception) -> tuple[Box, InProcessExchange, Asked]:
    """A new box whose server gives ``answers``, one after the other; the last item is what it was asked."""
    peer = InProcessExchange()
    box = make_box(folder, peer=peer, domain="lokole.local", registered=False)
    asked: Asked = []
    waiting = list(answers)

    def claim(url: str, code: str, key: bytes) -> tuple[DeviceId, str]:
        asked.append((url, code, key))
        answer = waiting.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    box.ports = replace(box.ports, claim=claim)
    return box, peer, asked


def test_a_claim_gives_the_box_its_id_its_domain_and_its_server(tmp_path: Path) -> None:
    box, _, asked = unregistered(tmp_path, (DeviceId("device-1"), "kintambo.lokole.test"))
    said = register(box, " code-1 ", server_url="https://mail.example.org")
    assert asked == [("https://mail.example.org", "code-1", public_key(box.seed))]
    row = box.row()
    assert (row.device_id, row.domain, row.state) == ("device-1", "kintambo.lokole.test", "claimed")
    assert box.server_url() == "https://mail.example.org"
    assert "kintambo.lokole.test" in said
    box.ports.database.close()


def test_registering_keeps_the_hours_of_departure(tmp_path: Path) -> None:
    box, _, _ = unregistered(tmp_path, (DeviceId("d"), "a.lokole.test"), (DeviceId("e"), "b.lokole.test"))
    with box.ports.database.write() as tx:
        set_option(tx, box.tenant, SCHEDULE_OPTION, {"hours": [4, 16], "days": None})
    register(box, "code", server_url="https://mail.example.org")
    register(box, "other", server_url="https://mail.example.org", again=True)
    with box.ports.database.read() as tx:
        assert load_schedule(tx, box.tenant).hours == (4, 16)
    box.ports.database.close()


def test_a_claim_whose_answer_was_lost_is_repeated_with_the_same_key(tmp_path: Path) -> None:
    box, _, asked = unregistered(tmp_path, Temporary("the line broke"), (DeviceId("d"), "a.lokole.test"))
    with pytest.raises(Temporary):
        register(box, "code", server_url="https://mail.example.org")
    assert box.row().state != "claimed"
    register(box, "code", server_url="https://mail.example.org")
    assert asked[0] == asked[1]
    box.ports.database.close()


def test_a_registered_box_keeps_its_place_unless_told_otherwise(tmp_path: Path) -> None:
    first, second = (DeviceId("d"), "a.lokole.test"), (DeviceId("d"), "a.lokole.test")
    box, _, asked = unregistered(tmp_path, first, Temporary("the line broke"), second)
    register(box, "code", server_url="https://mail.example.org")
    with pytest.raises(Refused) as caught:
        register(box, "other", server_url=None)
    assert caught.value.code == "registered"
    with pytest.raises(Temporary):
        register(box, "other", server_url=None, again=True)
    assert public_key(box.seed) == asked[0][2], "a place is not given up for one that did not come"
    register(box, "other", server_url=None, again=True)
    assert asked[1] == asked[2]
    assert asked[2][2] == public_key(box.seed) != asked[0][2], "a key that was taken back is not used again"
    box.ports.database.close()


def test_a_server_has_to_be_named(tmp_path: Path) -> None:
    box, _, asked = unregistered(tmp_path)
    with pytest.raises(Refused) as caught:
        register(box, "code", server_url=None)
    assert caught.value.code == "server"
    assert asked == []
    box.ports.database.close()


def test_what_was_written_before_has_the_domain_from_then_on(tmp_path: Path) -> None:
    box, peer, _ = unregistered(tmp_path, (DeviceId("d"), "kintambo.lokole.test"))
    ben = person(box, "ben")
    file = Attachment("a.txt", b"hello", "text/plain")
    write(box, "ann", "bob@example.org,ben@lokole.local", "Early", attachments=(file,))
    register(box, "code", server_url="https://mail.example.org")
    assert box.sync().letters_up == 1
    letter = records_of(peer.uploaded[0])[0]
    assert isinstance(letter, EmailRecord)
    assert letter.email.sender.address == "ann@kintambo.lokole.test"
    assert [contact.address for contact in letter.email.to] == ["bob@example.org", "ben@kintambo.lokole.test"]
    assert letter.email.attachments == (file,)
    with box.ports.database.read() as tx:
        (row,) = lists.list_folder(tx, ben, "inbox").rows
        entry = lists.get_entry(tx, ben, row.no)
    assert row.sender_address == "ann@kintambo.lokole.test"
    assert entry is not None
    assert load_attachments(box.ports.blobs, "kintambo.lokole.test", entry.letter.attachments) == (file,)
    assert list(box.ports.blobs.list("lokole.local/")) == []
    box.ports.database.close()


def test_an_administrator_has_a_password_that_has_to_be_changed(box: Box) -> None:
    password = make_admin(box, "admin")
    with box.ports.database.read() as tx:
        someone = accounts.find_account(tx, box.tenant, "admin")
        assert someone is not None
        assert (someone.is_admin, someone.must_change_password) == (True, True)
        assert passwords.check_password(password, slips.slip_hash(tx, someone))


def test_somebody_who_is_here_becomes_administrator_and_stays_the_same_person(box: Box) -> None:
    ann = person(box, "ann")
    first, second = make_admin(box, "ann"), make_admin(box, "ANN")
    assert first != second
    with box.ports.database.read() as tx:
        found = accounts.find_account(tx, box.tenant, "ann")
        assert found is not None
        assert (found.no, found.is_admin) == (ann.no, True)
        assert not passwords.check_password(first, slips.slip_hash(tx, found))


def test_a_name_that_cannot_be_anybodys_is_refused(box: Box) -> None:
    with pytest.raises(Refused):
        make_admin(box, "not a name")


def test_one_time_passwords_are_easily_read_and_never_the_same() -> None:
    entropy = CountedEntropy()
    made = {slips.one_time_password(entropy) for _ in range(200)}
    assert len(made) == 200
    assert all(len(text) == 14 and not set(text) & set("01lio") for text in made)


def test_the_counter_of_requests_survives_a_restart_and_only_rises(tmp_path: Path) -> None:
    box = make_box(tmp_path, peer=InProcessExchange())
    counter = RequestCounter(box.ports.database, box.tenant, box.ports.clock, box.ports.entropy)
    assert [counter.next(), counter.next()] == [1, 2]
    counter.jump(40)
    assert counter.next() > 40
    last = counter.next()
    counter.jump(3)
    box.ports.database.close()
    again = make_box(tmp_path, peer=InProcessExchange())
    assert RequestCounter(again.ports.database, again.tenant, again.ports.clock, again.ports.entropy).next() > last
    again.ports.database.close()


def test_a_server_cannot_use_the_counter_up(box: Box, clock: FrozenClock) -> None:
    counter = RequestCounter(box.ports.database, box.tenant, clock, box.ports.entropy)
    counter.jump(2**63 - 1)
    counter.jump(-5)
    assert counter.next() == 1


def test_a_twin_is_written_down(box: Box, clock: FrozenClock) -> None:
    RequestCounter(box.ports.database, box.tenant, clock, box.ports.entropy).twin_seen()
    with box.ports.database.read() as tx:
        assert get_option(tx, box.tenant, TWIN_OPTION) is not None
        assert get_option(tx, box.tenant, COUNTER_OPTION) is None


def test_a_box_is_the_same_after_a_restart(tmp_path: Path) -> None:
    first = make_box(tmp_path, peer=InProcessExchange(), entropy=CountedEntropy(1))
    first.ports.database.close()
    again = make_box(tmp_path, peer=InProcessExchange(), entropy=CountedEntropy(2))
    assert (again.seed, again.tenant) == (first.seed, first.tenant)
    assert again.row().device_id == first.row().device_id
    again.ports.database.close()


def test_a_box_gets_no_other_place_while_an_exchange_is_under_way(tmp_path: Path) -> None:
    box, _, asked = unregistered(tmp_path, (DeviceId("d"), "a.lokole.test"))
    with box.lock.held(), pytest.raises(Refused) as caught:
        register(box, "code", server_url="https://mail.example.org")
    assert caught.value.code == "busy"
    assert (asked, box.row().state) == ([], "waiting")
    register(box, "code", server_url="https://mail.example.org")
    assert box.row().state == "claimed"
    box.ports.database.close()
