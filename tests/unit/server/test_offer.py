"""What waits for a box becomes packages, and is forgotten only when the box says so."""

from __future__ import annotations

import io
import threading
from collections.abc import Sequence

import pytest

from lokole.mail.model import Attachment, Contact, Email, EmailId, EmailNo
from lokole.mailbox import accounts, letters, packages
from lokole.mailbox.attachments import put_attachments
from lokole.mailbox.identity import next_email_id
from lokole.mailbox.letters import store_email
from lokole.mailbox.recipients import set_envelope
from lokole.server import intake, offer, send
from lokole.sync.bundle import Bundle
from lokole.sync.ids import SERVER_ORIGIN
from lokole.sync.package import BOX, read_package
from lokole.sync.records import AccountRecord, EmailRecord
from tests.unit.server.place import BoxAtPlace, Place, message, packed


@pytest.fixture
def box(place: Place) -> BoxAtPlace:
    return place.box("a.lokole.test", ["ann"])


def arrive(place: Place, *subjects: str) -> None:
    for subject in subjects:
        intake.accept(place.ports, "bob@example.org", ["ann@a.lokole.test"], message(subject=subject))


def subjects(records: list[object]) -> list[str]:
    return [record.email.subject for record in records if isinstance(record, EmailRecord)]


def test_nothing_waiting_is_no_package(place: Place, box: BoxAtPlace) -> None:
    assert box.offers() == []


def test_looking_and_downloading_change_nothing(place: Place, box: BoxAtPlace) -> None:
    arrive(place, "one")
    first = box.offers()
    for _ in range(3):
        assert box.offers() == first
        assert subjects(list(box.get(first[0]))) == ["one"]
    assert place.pending("a.lokole.test") == 1


def test_a_letter_waits_until_it_is_acknowledged(place: Place, box: BoxAtPlace) -> None:
    arrive(place, "one")
    (offered,) = box.offers()
    assert box.acknowledge(offered["epoch"], offered["seq"]) == 1
    assert place.pending("a.lokole.test") == 0
    assert box.offers() == []
    assert box.acknowledge(offered["epoch"], offered["seq"]) == 0
    assert subjects(list(box.get(offered))) == ["one"]  # kept for the time of the retention


def test_a_later_letter_comes_in_a_package_of_its_own(place: Place, box: BoxAtPlace) -> None:
    arrive(place, "one")
    (first,) = box.offers()
    arrive(place, "two")
    again, second = box.offers()
    assert again == first
    assert (first["seq"], second["seq"]) == (1, 2)
    assert box.offers(after=1) == [first, second]  # nothing of this epoch was acknowledged yet
    assert box.acknowledge(second["epoch"], 0, [2]) == 1
    assert box.offers(after=0) == [first]
    assert box.offers(after=1) == []
    assert box.acknowledge(first["epoch"], 2) == 1


def test_a_package_whose_bytes_are_gone_keeps_no_letter_back(place: Place, box: BoxAtPlace) -> None:
    arrive(place, "one")
    (lost,) = box.offers()
    place.ports.blobs.delete(f"a.lokole.test/packages/{lost['sha256']}")
    arrive(place, "two")
    found = box.offers()
    assert lost["sha256"] not in {offered["sha256"] for offered in found}
    assert sorted(subject for offered in found for subject in subjects(list(box.get(offered)))) == ["one", "two"]


def test_an_acknowledgement_of_another_epoch_or_number_has_no_effect(place: Place, box: BoxAtPlace) -> None:
    arrive(place, "one")
    (offered,) = box.offers()
    assert box.acknowledge(offered["epoch"] + 1, 5) == 0
    assert box.acknowledge(offered["epoch"], 0, [7, 8]) == 0
    assert place.pending("a.lokole.test") == 1


def test_builders_at_once_make_one_package(place: Place, box: BoxAtPlace) -> None:
    arrive(place, *(f"{n}" for n in range(20)))
    row = place.row("a.lokole.test")
    gate = threading.Barrier(4)

    def build() -> None:
        gate.wait()
        offer.build_pending(place.ports, row)

    threads = [threading.Thread(target=build) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with place.ports.database.read() as tx:
        (built,) = packages.packages_after(tx, row.no, "down", 0)
    assert built.letters == 20


def test_builders_of_two_processes_make_one_package(place: Place, box: BoxAtPlace) -> None:
    """Without the lock of the process, the rows keep them apart."""
    arrive(place, *(f"{n}" for n in range(5)))
    row = place.row("a.lokole.test")
    with place.ports.database.read() as tx:
        pending = list(packages.waiting_rows(tx, row.no, "down"))
    assert offer.build_pending(place.ports, row) == 1
    with place.ports.database.write() as tx:
        assert not offer.still_waiting(tx, row, pending)
    assert offer.build_pending(place.ports, row) == 0


def test_a_long_queue_is_cut_into_packages(place: Place, box: BoxAtPlace) -> None:
    arrive(place, *(f"{n}" for n in range(30)))
    offer.build_pending(place.ports, place.row("a.lokole.test"), enough=offer.Enough(bytes=1000))
    offered = box.offers()
    assert len(offered) >= 3
    assert [one["seq"] for one in offered] == list(range(1, len(offered) + 1))
    got = [subject for one in offered for subject in subjects(list(box.get(one)))]
    assert got == [f"{n}" for n in range(len(got))]


def store(place: Place, subject: str, *files: Attachment, to: Sequence[str] = ("ann@a.lokole.test",)) -> EmailNo:
    """A letter that waits for the box, as if it had been received."""
    row = place.row("a.lokole.test")
    stored = put_attachments(place.ports.blobs, row.domain, files)
    with place.ports.database.write() as tx:
        letter = Email(Contact("bob@example.org"), (), subject=subject)
        id = next_email_id(tx, SERVER_ORIGIN)
        no, _ = store_email(tx, row.no, letter, id=id, received_at=place.clock(), attachments=stored)
        set_envelope(tx, row.no, no, dict.fromkeys(to, "delivered"))
        packages.add_waiting(tx, row.no, no, "down")
    return no


def test_letters_that_compress_very_well_keep_none_behind_them_from_the_box(place: Place, box: BoxAtPlace) -> None:
    """At the true sizes: the reader ends a package of more than 64 MiB that was made 250 times smaller."""
    film = Attachment("scan.bmp", bytes(int(14.5 * 2**20)))
    for n in range(5):
        store(place, f"large {n}", film)
    store(place, "small")
    sealed = box.offers()
    got = [subject for one in sealed for subject in subjects(list(box.get(one)))]
    assert got == [*(f"large {n}" for n in range(5)), "small"]
    assert max(one["size"] for one in sealed) * BOX.max_ratio < BOX.ratio_counts_from, "else this test tests nothing"


def test_a_package_and_one_letter_more_stay_below_every_limit_of_its_way() -> None:
    largest = BOX.max_line_bytes + BOX.max_text_bytes
    assert offer.ENOUGH.bytes + largest < BOX.ratio_counts_from
    assert Bundle.holds(offer.ENOUGH.bytes + largest)
    assert offer.ENOUGH.frames + offer.ENOUGH.letters + 1001 < BOX.max_records


def test_a_package_is_measured_by_its_frames(place: Place, box: BoxAtPlace) -> None:
    row = place.row("a.lokole.test")
    many = [f"somebody-with-a-long-name-{n}@a.lokole.test" for n in range(50)]
    for n in range(2):
        store(place, f"no text, {n}", to=many)
    assert offer.build_pending(place.ports, row, enough=offer.Enough(bytes=2000)) == 2
    for n in range(2):
        store(place, f"no bytes, {n}", *(Attachment(f"{file}", b"") for file in range(10)))
    assert offer.build_pending(place.ports, row, enough=offer.Enough(frames=10)) == 2


def test_a_letter_that_goes_to_many_in_records_of_their_own_need_not_go_in_one_package(
    place: Place, box: BoxAtPlace
) -> None:
    people = [f"p{n}@a.lokole.test" for n in range(6)]
    no = store(place, "for all", Attachment("a.bin", bytes(1000)), to=people)
    row = place.row("a.lokole.test")
    with place.ports.database.write() as tx:
        packages.wait_no_longer(tx, row.no, "down", [packages.Waiting(no, "")])
        for one in people:
            packages.add_waiting(tx, row.no, no, "down", one)
    assert offer.build_pending(place.ports, row, enough=offer.Enough(bytes=2000)) == 3
    records = [record for one in box.offers() for record in box.get(one) if isinstance(record, EmailRecord)]
    assert [str(one) for record in records for one in record.email.recipients] == people


def test_a_text_that_no_box_can_take_even_as_a_file_is_named_instead(place: Place, box: BoxAtPlace) -> None:
    row = place.row("a.lokole.test")
    with place.ports.database.write() as tx:
        letter = Email(Contact("bob@example.org"), (), subject="endless", body="x" * 16 * 2**20)
        no, _ = store_email(tx, row.no, letter, id=next_email_id(tx, SERVER_ORIGIN), received_at=place.clock())
        set_envelope(tx, row.no, no, {"ann@a.lokole.test": "delivered"})
        packages.add_waiting(tx, row.no, no, "down")
    (read,) = box.fetch()
    (words,) = read.email.attachments
    assert words.filename == "letter.html.txt"
    assert b"was left at the server" in words.content


def test_a_file_that_no_box_can_take_is_named_instead_and_the_others_travel(place: Place, box: BoxAtPlace) -> None:
    from lokole.mail.mime import parse_email

    row = place.row("a.lokole.test")
    files = [Attachment("film.mp4", b"x" * 20_000_000), Attachment("photo.jpg", b"y" * 1000)]
    stored = put_attachments(place.ports.blobs, row.domain, files)
    with place.ports.database.write() as tx:
        no, _ = store_email(
            tx,
            row.no,
            parse_email(message()).email,
            id=next_email_id(tx, SERVER_ORIGIN),
            received_at=place.clock(),
            attachments=stored,
        )
        set_envelope(tx, row.no, no, {"ann@a.lokole.test": "delivered"})
        packages.add_waiting(tx, row.no, no, "down")
    (letter,) = box.fetch()
    film, photo = letter.email.attachments
    assert film.filename == "film.mp4.txt"
    assert all(words in film.content.decode() for words in ("20000000 bytes", "20000000 octets", "baiti 20000000"))
    assert photo == Attachment("photo.jpg", b"y" * 1000)


@pytest.mark.parametrize(("sign", "fits"), [("x", True), ("é", False), ("\N{MANGO}", False)])
def test_a_text_that_no_box_can_read_in_one_piece_comes_as_its_beginning_and_a_file(
    place: Place, box: BoxAtPlace, sign: str, fits: bool
) -> None:
    words = f"begin {sign * 9}"
    head = "From: bob@example.org\r\nTo: ann@a.lokole.test\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
    raw = (head + "\r\n".join([" ".join([words] * 20)] * 5000)).encode()
    intake.accept(place.ports, "bob@example.org", ["ann@a.lokole.test"], raw)
    (letter,) = box.fetch()
    (read,) = list(read_package(io.BytesIO(packed([letter])), limits=BOX))
    assert isinstance(read, EmailRecord), "a box can read it"
    if fits:
        assert letter.email.body.count(words) == 100_000
        return
    (whole,) = letter.email.attachments
    assert whole.filename == "letter.html"
    assert whole.content.decode().count(words) == 100_000
    assert len(letter.email.body) < 60_000
    assert f"{words} {words}" in letter.email.body


def test_what_was_written_in_town_to_a_neighbour_travels_though_its_writer_has_left(
    place: Place, box: BoxAtPlace
) -> None:
    box.put([AccountRecord(f"{name}@a.lokole.test", version=2) for name in ("ann", "ben")])
    with place.ports.database.write() as tx:
        row = place.row("a.lokole.test")
        writer = accounts.find_account(tx, row.no, "ann")
        assert writer is not None
        email = Email(
            sender=Contact("ann@a.lokole.test"),
            to=(Contact("ben@a.lokole.test"),),
            bcc=(Contact("carl@example.org"),),
            subject="From town",
        )
        no = letters.write_letter(tx, row.no, writer, email, id=EmailId(bytes(16)), now=place.clock())
        send.leave_from_here(place.ports, tx, row.no, no)
    box.put([AccountRecord("ann@a.lokole.test", version=3, removed=True)])
    (found,) = box.fetch()
    assert (found.email.subject, found.entries) == ("From town", ())
    # the same as it would have come while its writer was here, so that it is known when it comes again
    assert [one.address for one in (*found.email.to, *found.email.bcc)] == ["ben@a.lokole.test", "carl@example.org"]
