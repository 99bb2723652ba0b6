"""A night that may carry only so much: what leaves, what waits, and that nothing waits for ever."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from lokole.adapters.sync_peer.in_process import InProcessExchange
from lokole.device.box import Box
from lokole.device.importing import import_package
from lokole.mail.errors import BadPackage
from lokole.mail.model import Address, Attachment, Contact, Email
from lokole.mailbox import board, quarantine
from lokole.mailbox.allowances import BoxLimits, set_box_limits
from lokole.sync import bodies
from lokole.sync.records import EmailRecord
from lokole.testing import FrozenClock
from tests.unit.device.people import ZSTD, package_of, person, subjects_of, write


def night(box: Box, peer: InProcessExchange) -> list[str]:
    """The subjects that one meeting takes along."""
    before = len(peer.uploaded)
    assert box.sync().result == "ok"
    return [subject for package in peer.uploaded[before:] for subject in subjects_of(package)]


def test_the_oldest_goes_first_then_short_ones_and_the_rest_the_next_night(
    box: Box, peer: InProcessExchange, clock: FrozenClock
) -> None:
    with box.ports.database.write() as tx:
        set_box_limits(tx, box.tenant, BoxLimits(night_bytes=6_000))
    photo = (Attachment("goat.jpg", bytes(5_000), "image/jpeg"),)
    for subject, files in (("photo", photo), ("photo 2", photo), ("short", ()), ("photo 3", photo), ("short 2", ())):
        write(box, "ann", "bob@example.org", subject, attachments=files)
    assert night(box, peer) == ["photo", "short", "short 2"]
    assert night(box, peer) == []  # the same night once more
    clock.advance(hours=24)
    assert night(box, peer) == ["photo 2"]
    clock.advance(hours=24)
    assert night(box, peer) == ["photo 3"]


def test_a_letter_larger_than_a_night_leaves_when_its_turn_comes(
    box: Box, peer: InProcessExchange, clock: FrozenClock
) -> None:
    with box.ports.database.write() as tx:
        set_box_limits(tx, box.tenant, BoxLimits(night_bytes=100))
    write(box, "ann", "bob@example.org", "first")
    write(box, "ann", "bob@example.org", "huge", attachments=(Attachment("f", bytes(9_000)),))
    assert night(box, peer) == ["first"]
    clock.advance(hours=24)
    assert night(box, peer) == ["huge"]


def test_what_left_while_the_clock_was_years_ahead_keeps_no_letter_back(
    box: Box, peer: InProcessExchange, clock: FrozenClock
) -> None:
    with box.ports.database.write() as tx:
        set_box_limits(tx, box.tenant, BoxLimits(night_bytes=100))
    clock.advance(days=3650)
    write(box, "ann", "bob@example.org", "ahead", attachments=(Attachment("f", bytes(9_000)),))
    assert night(box, peer) == ["ahead"]
    clock.advance(days=-3650)
    write(box, "ann", "bob@example.org", "now")
    assert night(box, peer) == ["now"]


# --- the board -----------------------------------------------------------------------------------


def news(n: int, sender: str, *, proven: bool, to: str = "News@village.lokole.test") -> EmailRecord:
    letter = Email(
        sender=Contact(sender), to=(Contact(to),), subject=f"news {n}", body="<p>Water<script>x</script></p>"
    )
    return EmailRecord(uid=f"{n:032x}", email=letter, proven=proven)


def hanging(box: Box) -> list[str]:
    with box.ports.database.read() as tx:
        return [one.subject for one in board.posts(tx, box.tenant, box.ports.clock(), only_public=True)[0]]


def test_a_forged_sender_never_reaches_the_board(box: Box, peer: InProcessExchange) -> None:
    person(box, "ann")
    with box.ports.database.write() as tx:
        board.set_news_senders(tx, box.tenant, ["office@example.org"])
    # the way of version 1 cannot say that a sender is proven, so not even a listed one counts
    peer.offer(package_of(news(1, "office@example.org", proven=True)), type=ZSTD)
    assert box.sync().result == "ok"
    assert hanging(box) == []
    with box.ports.database.read() as tx:
        assert quarantine.list_quarantine(tx, box.tenant) == []


def test_what_the_server_has_proven_hangs_for_everybody_and_the_rest_does_not(box: Box) -> None:
    person(box, "ann")
    with box.ports.database.write() as tx:
        board.set_news_senders(tx, box.tenant, ["office@example.org"])
    records = [
        news(1, "Office@example.org", proven=True),
        news(2, "office@example.org", proven=False),
        news(3, "other@example.org", proven=True),
        news(4, "office@example.org", proven=True, to="ann@village.lokole.test"),
    ]
    for _ in range(2):  # a repeat changes nothing
        import_package(
            enumerate(records, start=1), name="a" * 64, database=box.ports.database, blobs=box.ports.blobs, tenant=box.row(),
            clock=box.ports.clock, entropy=box.ports.entropy,
        )  # fmt: skip
    assert hanging(box) == ["news 1"]
    with box.ports.database.read() as tx:
        (post,), _total = board.posts(tx, box.tenant, box.ports.clock(), only_public=True)
        _post, stored = board.get_post(tx, box.tenant, post.no, box.ports.clock(), only_public=True)
    assert "script" not in stored.email.body


def test_what_a_service_has_answered_hangs_for_the_people_here_and_for_its_time(box: Box) -> None:
    ann = person(box, "ann")
    until = box.ports.clock() + timedelta(hours=24)
    letter = news(5, "weather@bot.lokole.ca", proven=False)
    both = replace(letter.email, recipients=(Address.parse("News@village.lokole.test"), ann.address))
    record = replace(letter, email=both, posted=until)
    travelled, _files = bodies.read_letter(bodies.letter_fields(record))
    assert travelled.posted == until
    import_package(
        enumerate([travelled], start=1), name="b" * 64, database=box.ports.database, blobs=box.ports.blobs, tenant=box.row(),
        clock=box.ports.clock, entropy=box.ports.entropy,
    )  # fmt: skip
    assert hanging(box) == []  # not for everybody near the box
    with box.ports.database.read() as tx:
        (post,), _total = board.posts(tx, box.tenant, box.ports.clock(), only_public=False)
        assert (post.subject, post.expires_at) == ("news 5", until)
        assert board.posts(tx, box.tenant, until, only_public=False)[1] == 0


def test_the_word_of_the_server_travels_with_the_letter_and_is_true_only_when_it_is_true() -> None:
    for proven in (True, False):
        record, _files = bodies.read_letter(bodies.letter_fields(news(1, "office@example.org", proven=proven)))
        assert record.proven is proven
    fields = bodies.letter_fields(news(1, "office@example.org", proven=True))
    for value in ("yes", 1, None):
        try:
            record, _files = bodies.read_letter({**fields, "proven": value})
        except BadPackage:
            continue
        assert record.proven is False
