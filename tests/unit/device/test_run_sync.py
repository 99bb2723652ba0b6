"""One meeting of a box with the other end: what goes, what comes, and what a broken line leaves."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from lokole.adapters.sync_peer.in_process import InProcessExchange
from lokole.device.box import Box
from lokole.device.packing import SERVER_KEY_OPTION
from lokole.device.run_sync import MOST_COMPARED
from lokole.mail.errors import Refused, Temporary
from lokole.mail.model import Address, Attachment, DeliveryState, EmailNo
from lokole.mailbox import lists, packages, quarantine, recipients, visits
from lokole.mailbox.options import set_option
from lokole.ports.sync_peer import Compared, Offered, Offers
from lokole.sync.container import CONTENT_TYPE
from lokole.sync.digest import Summary, ack_check
from lokole.sync.records import AccountRecord, AttachmentRecord, EmailRecord, PackageDigest
from lokole.sync.signing import encode_key, public_key
from lokole.testing import FrozenClock, make_box
from tests.mailbox_world import unknown_people
from tests.unit.device.people import ZSTD, Flaky, incoming, package_of, person, records_of, subjects_of, write


def states(box: Box, no: EmailNo) -> list[DeliveryState]:
    with box.ports.database.read() as tx:
        return [delivery.state for delivery in recipients.deliveries(tx, box.tenant, no)]


def inbox(box: Box, name: str) -> list[str]:
    someone = person(box, name)
    with box.ports.database.read() as tx:
        return [row.subject for row in lists.list_folder(tx, someone, "inbox").rows]


def waiting(box: Box) -> int:
    with box.ports.database.read() as tx:
        return packages.count_waiting(tx, box.tenant, "up")


def set_apart(box: Box) -> list[quarantine.Quarantined]:
    with box.ports.database.read() as tx:
        return quarantine.list_quarantine(tx, box.tenant)


class NeverAgrees(InProcessExchange):
    """An exchange that finds a difference in every digest and offers everything once more."""

    def __init__(self) -> None:
        super().__init__()
        self.compared = 0

    def offers(self, *, after: int, digest: Summary | None = None, unsent: bool = False) -> Offers:
        found = super().offers(after=after, unsent=unsent)
        return Offers(list(found), digest="none" if digest is None else "differs", epoch=self.epoch)

    def compare(self, packages: Sequence[PackageDigest]) -> Compared:
        self.compared += 1
        self.acknowledged.clear()
        return Compared(again=1)


def test_ends_that_never_agree_compare_a_few_times_and_hang_up(tmp_path: Path) -> None:
    peer = NeverAgrees()
    box = make_box(tmp_path, peer=peer)
    person(box, "ann")
    with box.ports.database.write() as tx:
        set_option(tx, box.tenant, SERVER_KEY_OPTION, encode_key(public_key(bytes(32))))
    peer.offer(package_of(incoming(1, "ann@village.lokole.test", "Once")), type=ZSTD)
    assert box.sync().result == "ok"
    assert peer.compared == MOST_COMPARED
    assert inbox(box, "ann") == ["Once"]
    box.ports.database.close()


# --- up ------------------------------------------------------------------------------------------


def test_a_letter_leaves_with_its_file_and_its_writer_is_told(box: Box, peer: InProcessExchange) -> None:
    photo = Attachment("goat.jpg", b"\xff\xd8 a goat", "image/jpeg")
    no = write(box, "ann", "bob@example.org", "A goat", attachments=(photo,))
    assert states(box, no) == [DeliveryState.WAITING]

    report = box.sync()

    assert (report.result, report.letters_up, report.waiting) == ("ok", 1, 0)
    assert report.bytes_up == len(peer.uploaded[0].content)
    letter, account = records_of(peer.uploaded[0])
    assert isinstance(letter, EmailRecord)
    assert letter.email.attachments == (photo,)
    assert letter.email.sender.address == "ann@village.lokole.test"
    assert [str(address) for address in letter.email.recipients] == ["bob@example.org"]
    assert account == AccountRecord("ann@village.lokole.test", None, "en", 1)
    assert states(box, no) == [DeliveryState.AT_SERVER]


def test_a_letter_whose_file_is_lost_here_leaves_without_it_and_keeps_no_other_back(
    box: Box, peer: InProcessExchange
) -> None:
    photo = Attachment("goat.jpg", b"\xff\xd8 a goat", "image/jpeg")
    write(box, "ann", "bob@example.org", "A goat", attachments=(photo,))
    write(box, "ann", "bob@example.org", "No goat")
    box.ports.blobs.delete(f"village.lokole.test/{hashlib.sha256(photo.content).hexdigest()}")
    assert box.sync().result == "ok"
    assert subjects_of(peer.uploaded[0]) == ["A goat", "No goat"]
    lost, _ = (one for one in records_of(peer.uploaded[0]) if isinstance(one, EmailRecord))
    assert [(one.filename, one.type) for one in lost.email.attachments] == [("goat.jpg.txt", "text/plain")]


def test_a_letter_leaves_though_everybody_here_has_deleted_it(box: Box, peer: InProcessExchange) -> None:
    person(box, "ben")
    no = write(box, "ann", "bob@example.org,ben@village.lokole.test", "Gone here")
    assert inbox(box, "ben") == ["Gone here"]
    for name in ("ann", "ben"):
        someone = person(box, name)
        with box.ports.database.write() as tx:
            lists.set_flag(tx, someone, no, "deleted", True, "box")
    assert (inbox(box, "ben"), waiting(box)) == ([], 1)
    box.sync()
    assert [subjects_of(one) for one in peer.uploaded] == [["Gone here"]]


def test_blind_copies_travel_to_the_server_and_local_recipients_do_not(box: Box, peer: InProcessExchange) -> None:
    person(box, "ben")
    write(box, "ann", "bob@example.org,ben@village.lokole.test")
    box.sync()
    letter = records_of(peer.uploaded[0])[0]
    assert isinstance(letter, EmailRecord)
    assert [str(address) for address in letter.email.recipients] == ["bob@example.org"]
    assert inbox(box, "ben") == ["Hello"]


def test_a_letter_within_the_box_never_leaves_it(box: Box, peer: InProcessExchange) -> None:
    person(box, "ben")
    box.sync()
    peer.uploaded.clear()
    write(box, "ann", "ben@village.lokole.test")
    assert box.sync().letters_up == 0
    assert all(subjects_of(package) == [] for package in peer.uploaded)


def test_nothing_to_say_sends_no_package(box: Box, peer: InProcessExchange) -> None:
    assert box.sync().result == "ok"
    assert peer.uploaded == []


def test_people_are_told_once_and_again_after_a_change(box: Box, peer: InProcessExchange) -> None:
    from lokole.mailbox import accounts

    ann = person(box, "ann")
    box.sync()
    box.sync()
    assert len(peer.uploaded) == 1
    with box.ports.database.write() as tx:
        accounts.set_language(tx, ann, "fr")
    box.sync()
    assert [record.language for record in records_of(peer.uploaded[1]) if isinstance(record, AccountRecord)] == ["fr"]


def test_mail_stays_waiting_until_the_server_has_it(tmp_path: Path) -> None:
    peer = Flaky("upload")
    box = make_box(tmp_path, peer=peer)
    no = write(box, "ann", "bob@example.org")
    report = box.sync()
    assert (report.result, report.letters_up, report.waiting) == ("no-connection", 0, 1)
    assert peer.heard_all == [False], "the server is told that something is missing"
    assert states(box, no) == [DeliveryState.WAITING]
    assert box.sync().letters_up == 1
    assert peer.heard_all[1]
    assert states(box, no) == [DeliveryState.AT_SERVER]
    box.ports.database.close()


def test_a_lost_answer_sends_the_same_bytes_again(tmp_path: Path) -> None:
    peer = Flaky("upload", after=True)
    box = make_box(tmp_path, peer=peer)
    write(box, "ann", "bob@example.org", "First")
    box.sync()
    write(box, "ann", "bob@example.org", "Second")
    report = box.sync()
    assert (report.letters_up, report.waiting) == (2, 0)
    assert [subjects_of(package) for package in peer.uploaded] == [["First"], ["Second"]]
    assert [package.seq for package in peer.uploaded] == [1, 2]
    box.ports.database.close()


def test_a_package_that_was_built_before_a_restart_goes_first_and_unchanged(tmp_path: Path) -> None:
    first = make_box(tmp_path, peer=Flaky("upload"))
    write(first, "ann", "bob@example.org", "Before")
    first.sync()
    first.ports.database.close()
    peer = InProcessExchange()
    again = make_box(tmp_path, peer=peer)
    write(again, "ann", "bob@example.org", "After")
    assert again.sync().letters_up == 2
    assert [subjects_of(package) for package in peer.uploaded] == [["Before"], ["After"]]
    again.ports.database.close()


def test_a_large_outbox_goes_in_several_packages(box: Box, peer: InProcessExchange) -> None:
    big = Attachment("big.bin", bytes(range(256)) * 16 * 1024)
    for n in range(5):
        write(box, "ann", "bob@example.org", f"Letter {n}", attachments=(big,))
    assert box.sync().letters_up == 5
    assert [subjects_of(package) for package in peer.uploaded] == [
        ["Letter 0", "Letter 1"],
        ["Letter 2", "Letter 3"],
        ["Letter 4"],
    ]


def test_a_package_spoilt_on_the_disk_is_packed_anew(tmp_path: Path) -> None:
    box = make_box(tmp_path, peer=Flaky("upload"))
    write(box, "ann", "bob@example.org")
    box.sync()
    (blob,) = (tmp_path / "blobs").rglob("pkg-*")
    blob.chmod(0o600)
    blob.write_bytes(b"spoilt" + blob.read_bytes()[6:])
    report = box.sync()
    assert (report.result, report.letters_up, report.waiting) == ("ok", 1, 0)
    box.ports.database.close()


def test_a_letter_that_no_package_can_carry_comes_back_to_its_writer(box: Box, peer: InProcessExchange) -> None:
    long = write(box, "ann", "bob@example.org", "Far too long", body="é" * 2 * 2**20)
    short = write(box, "ann", "bob@example.org", "Short")
    report = box.sync()
    assert (report.result, report.letters_up, report.waiting) == ("ok", 1, 0)
    assert [subjects_of(package) for package in peer.uploaded] == [["Short"]]
    assert states(box, long) == [DeliveryState.REFUSED]
    assert states(box, short) == [DeliveryState.AT_SERVER]


def test_a_box_that_could_not_even_pack_says_that_it_has_not_told_everything(
    box: Box, peer: InProcessExchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the server would take it for here, and whoever has just signed up for nobody."""
    person(box, "ann")

    def full(*_: object) -> bool:
        raise Temporary("the store did not take it: no space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(box.ports.blobs, "put", full)
        assert box.sync().result == "storage"
    assert peer.uploaded == []
    assert set(peer.heard_all) == {False}
    peer.heard_all.clear()
    assert box.sync().result == "ok"
    assert len(peer.uploaded) == 1
    assert peer.heard_all[0]


# --- down ----------------------------------------------------------------------------------------


def test_a_letter_comes_home_with_its_file_and_is_acknowledged(box: Box, peer: InProcessExchange) -> None:
    person(box, "ann")
    peer.offer(
        package_of(incoming(1, "ann@village.lokole.test", attachments=(Attachment("a.txt", b"hello"),))), type=ZSTD
    )
    report = box.sync()
    assert (report.result, report.letters_down, report.quarantined) == ("ok", 1, 0)
    assert inbox(box, "ann") == ["News"]
    assert peer.acknowledged == {(1, 1)}
    assert peer.offers(after=0) == []


def test_a_lost_acknowledgement_is_said_again_and_nothing_comes_twice(tmp_path: Path) -> None:
    peer = Flaky("acknowledge")
    box = make_box(tmp_path, peer=peer)
    person(box, "ann")
    peer.offer(package_of(incoming(1, "ann@village.lokole.test")), type=ZSTD)
    assert box.sync().result == "no-connection"
    assert peer.acknowledged == set()
    before = peer.bytes_down
    report = box.sync()
    assert (report.result, report.letters_down) == ("ok", 0)
    assert peer.bytes_down == before, "what is here is not fetched again"
    assert peer.acknowledged == {(1, 1)}
    assert inbox(box, "ann") == ["News"]
    box.ports.database.close()


def test_the_same_letter_in_two_packages_is_one_letter(box: Box, peer: InProcessExchange) -> None:
    person(box, "ann")
    letter = incoming(1, "ann@village.lokole.test")
    peer.offer(package_of(letter), type=ZSTD)
    peer.offer(package_of(letter, incoming(2, "ann@village.lokole.test", "More")), type=ZSTD)
    assert box.sync().letters_down == 2
    assert inbox(box, "ann") == ["More", "News"]


def test_the_envelope_decides_who_gets_a_letter(box: Box, peer: InProcessExchange) -> None:
    from dataclasses import replace

    from lokole.mail.model import Address

    person(box, "ann")
    person(box, "ben")
    letter = incoming(1, "ann@village.lokole.test")
    for_ben = replace(letter, email=replace(letter.email, recipients=(Address.parse("BEN@village.lokole.test"),)))
    peer.offer(package_of(for_ben), type=ZSTD)
    box.sync()
    assert inbox(box, "ben") == ["News"]
    assert inbox(box, "ann") == []


def test_a_letter_to_somebody_unknown_is_kept_with_that_name(box: Box, peer: InProcessExchange) -> None:
    peer.offer(package_of(incoming(1, "nobody@village.lokole.test")), type=ZSTD)
    report = box.sync()
    assert (report.result, report.letters_down) == ("ok", 1)
    with box.ports.database.read() as tx:
        assert [address for _, address in unknown_people(tx, box.tenant)] == ["nobody@village.lokole.test"]


def test_who_signs_up_later_gets_what_came_for_their_name(box: Box, peer: InProcessExchange) -> None:
    """A box that was reset gets the letters of the last weeks before its people have signed up again."""
    person(box, "ann")
    both = replace(
        incoming(1, "ann@village.lokole.test"),
        email=replace(
            incoming(1, "").email,
            recipients=(Address.parse("ann@village.lokole.test"), Address.parse("Zoe@village.lokole.test")),
        ),
    )
    peer.offer(package_of(both, incoming(2, "joe@village.lokole.test", "For another")), type=ZSTD)
    box.sync()
    assert inbox(box, "zoe") == ["News"]
    assert inbox(box, "ann") == ["News"]
    with box.ports.database.read() as tx:
        assert [address for _, address in unknown_people(tx, box.tenant)] == ["joe@village.lokole.test"]


def test_markup_from_a_package_is_made_safe_here_too(box: Box, peer: InProcessExchange) -> None:
    from dataclasses import replace

    letter = incoming(1, "ann@village.lokole.test")
    bad = replace(letter, email=replace(letter.email, body="<p onclick=x()>hi</p><script>alert(1)</script>"))
    ann = person(box, "ann")
    peer.offer(package_of(bad), type=ZSTD)
    box.sync()
    with box.ports.database.read() as tx:
        (row,) = lists.list_folder(tx, ann, "inbox").rows
        entry = lists.get_entry(tx, ann, row.no)
    assert entry is not None
    assert "script" not in entry.letter.email.body
    assert "onclick" not in entry.letter.email.body


def test_a_bad_line_goes_into_quarantine_beside_its_good_neighbours(box: Box, peer: InProcessExchange) -> None:
    import gzip

    from lokole.sync import version1

    person(box, "ann")
    good = [version1.write_email_line(incoming(n, "ann@village.lokole.test", f"No {n}"), own_box=True) for n in (1, 2)]
    content = gzip.compress(good[0] + b"\n" + b'{"_uid": 5, "to": 7}\n' + good[1] + b"\n")
    peer.offer(content, type="application/vnd.lokole.package.v1+jsonl.gz")
    report = box.sync()
    assert (report.result, report.letters_down, report.quarantined) == ("ok", 2, 1)
    (kept,) = set_apart(box)
    assert kept.kind == "record"
    assert kept.raw_ref is not None
    assert b'"_uid": 5' in box.ports.blobs.read(kept.raw_ref)
    assert peer.acknowledged == {(1, 1)}


def test_a_package_that_ends_early_is_set_apart_after_its_good_letters(box: Box, peer: InProcessExchange) -> None:
    import gzip

    from lokole.sync import version1

    person(box, "ann")
    line = version1.write_email_line(incoming(1, "ann@village.lokole.test"), own_box=True) + b"\n"
    filler = version1.write_email_line(incoming(2, "ann@village.lokole.test", "Lost"), own_box=True) + b"\n"
    content = gzip.compress(line + filler * 400, mtime=0)[:-40]
    peer.offer(content, type="application/vnd.lokole.package.v1+jsonl.gz")
    report = box.sync()
    assert report.quarantined == 1
    assert "News" in inbox(box, "ann")
    (kept,) = set_apart(box)
    assert (kept.kind, kept.raw_ref) == ("package", f"village.lokole.test/pkg-{peer._offered[1][0].ref}")
    assert peer.acknowledged == {(1, 1)}, "asking for it again would bring the same bytes"


def test_bytes_that_are_not_what_their_name_says_are_not_acknowledged(tmp_path: Path) -> None:
    class Lying(InProcessExchange):
        def download(self, offered: Offered, *, start: int = 0) -> Iterator[bytes]:
            pieces = super().download(offered, start=start)
            yield from (chunk[::-1] if offered.seq == 1 else chunk for chunk in pieces)

    peer = Lying()
    box = make_box(tmp_path, peer=peer)
    person(box, "ann")
    peer.offer(package_of(incoming(1, "ann@village.lokole.test", "Twisted")), type=ZSTD)
    peer.offer(package_of(incoming(2, "ann@village.lokole.test", "Straight")), type=ZSTD)
    report = box.sync()
    assert (report.result, report.letters_down) == ("bad-package", 1)
    assert inbox(box, "ann") == ["Straight"], "one bad package holds up no other"
    assert peer.acknowledged == {(1, 2)}
    box.ports.database.close()


def test_a_package_that_is_here_and_cannot_be_opened_is_not_acknowledged_with_its_neighbour(
    box: Box, peer: InProcessExchange
) -> None:
    person(box, "ann")
    peer.offer(b"sealed for somebody else", type=CONTENT_TYPE)
    peer.offer(package_of(incoming(2, "ann@village.lokole.test", "Straight")), type=ZSTD)
    assert box.sync().result == "bad-package"
    assert inbox(box, "ann") == ["Straight"]
    with box.ports.database.read() as tx:
        assert [one.seq for one in packages.packages_after(tx, box.tenant, "down", 0, states=("held",))] == [1]
    assert peer.acknowledged == {(1, 2)}, "the server is the last who has what is in the first"


def test_a_file_that_travels_apart_finds_its_letter(box: Box, peer: InProcessExchange) -> None:
    ann = person(box, "ann")
    apart = AttachmentRecord("file-1", Attachment("map.png", b"a map", "image/png"), (f"{1:032x}", f"{9:032x}"))
    peer.offer(package_of(incoming(1, "ann@village.lokole.test"), apart), type=ZSTD)
    box.sync()
    with box.ports.database.read() as tx:
        (row,) = lists.list_folder(tx, ann, "inbox").rows
    assert row.attachment_count == 1


# --- around --------------------------------------------------------------------------------------


def test_a_box_without_a_place_works_and_says_so(tmp_path: Path) -> None:
    box = make_box(tmp_path, peer=InProcessExchange(), registered=False)
    person(box, "ben")
    write(box, "ann", "ben@village.lokole.test")
    assert inbox(box, "ben") == ["Hello"]
    report = box.sync()
    assert report.result == "unregistered"
    assert "lokole device register" in report.detail
    box.ports.database.close()


def test_two_exchanges_never_run_at_once(box: Box) -> None:
    with box.lock.held():
        assert box.sync().result == "busy"
        assert box.sync_in_background() == "busy"
    assert box.sync().result == "ok"


@pytest.mark.parametrize("power_cut", [False, True])
def test_each_meeting_is_written_down(box: Box, clock: FrozenClock, power_cut: bool) -> None:
    if power_cut:
        with box.ports.database.write() as tx:
            visits.start_visit(tx, box.tenant, clock())
    write(box, "ann", "bob@example.org")
    box.sync()
    with box.ports.database.read() as tx:
        written = visits.last_visits(tx, box.tenant)
    assert [visit.result for visit in written] == (["ok", "broken"] if power_cut else ["ok"])
    assert (written[0].letters_up, written[0].bytes_up > 0) == (1, True)


class Disbelieving(InProcessExchange):
    """An exchange that means other packages by its numbers, ``times`` times; then it offers the letter under another one."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.times = times
        self.checks: list[str] = []

    def acknowledge(self, *, epoch: int, seq: int, beyond: list[int], check: str = "") -> None:
        self.checks.append(check)
        if self.times:
            self.times -= 1
            raise Refused("other packages have these numbers here", code="check")
        super().acknowledge(epoch=epoch, seq=seq, beyond=beyond, check=check)


def test_an_acknowledgement_says_which_packages_it_means(tmp_path: Path) -> None:
    peer = Disbelieving(0)
    box = make_box(tmp_path, peer=peer)
    person(box, "ann")
    first = peer.offer(package_of(incoming(1, "ann@village.lokole.test")), type=ZSTD)
    third = peer.offer(package_of(incoming(3, "ann@village.lokole.test")), type=ZSTD, seq=3)
    assert box.sync().result == "ok"
    assert peer.checks == [ack_check([first.ref]).hex(), ack_check([first.ref, third.ref]).hex()]
    box.ports.database.close()


@pytest.mark.parametrize(("times", "result"), [(1, "ok"), (100, "check")])
def test_what_the_server_does_not_believe_is_said_again_and_not_for_ever(
    tmp_path: Path, times: int, result: str
) -> None:
    peer = Disbelieving(times)
    box = make_box(tmp_path, peer=peer)
    person(box, "ann")
    peer.offer(package_of(incoming(1, "ann@village.lokole.test")), type=ZSTD)
    assert box.sync().result == result
    assert len(peer.checks) <= MOST_COMPARED + 1
    with box.ports.database.read() as tx:
        known = packages.find_package_by_seq(tx, box.tenant, 1, "down", 1)
    assert known is not None
    assert known.state == ("acknowledged" if result == "ok" else "unpacked")
    assert inbox(box, "ann") == ["News"]
    box.ports.database.close()
