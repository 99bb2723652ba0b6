"""What a box hands over: taken once, whatever comes how often, and nothing in another's name."""

from __future__ import annotations

import gzip
import io
import json
import random
import tarfile
from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy import select

from lokole.mail.errors import Temporary
from lokole.mail.html import make_safe
from lokole.mail.model import Attachment, Contact, Email
from lokole.mailbox import held, jobs, outbound
from lokole.mailbox.accounts import list_accounts
from lokole.mailbox.allowances import BoxLimits, box_limits
from lokole.mailbox.lists import list_folder
from lokole.mailbox.schema import account as account_table
from lokole.mailbox.standing import get_standing
from lokole.server import reconcile, strangers, unpack
from lokole.sync import jsontext
from lokole.sync.container import CONTENT_TYPE, Header, PayloadKind, seal
from lokole.sync.digest import package_digest
from lokole.sync.frames import write_frame
from lokole.sync.records import AccountRecord, AttachmentRecord, EmailRecord, RequestRecord
from lokole.sync.signing import body_sha256
from tests.unit.server.place import OPERATOR, BoxAtPlace, Place, packed


@pytest.fixture
def box(place: Place) -> BoxAtPlace:
    return place.box("a.lokole.test", ["ann"])


def line(
    uid: str = "u", sender: Any = "ann@a.lokole.test", to: Sequence[str] = ("bob@example.org",), **more: Any
) -> dict[str, Any]:
    fields = {"_uid": uid, "from": sender, "to": list(to), "subject": uid, "body": "<p>hi</p>", "attachments": []}
    return fields | more


def archive(lines: Sequence[bytes | dict[str, Any]], users: Sequence[dict[str, Any]] = ()) -> bytes:
    """A package as anybody may write it, gzip-compressed."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w|gz") as tar:
        for name, content in (("emails.jsonl", lines), ("zzusers.jsonl", users)):
            data = b"".join((one if isinstance(one, bytes) else json.dumps(one).encode()) + b"\n" for one in content)
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def subjects(place: Place) -> list[str]:
    found = []
    for one in place.world.sent:
        head = one.message.partition(b"\r\n\r\n")[0]
        found += [text[9:].decode() for text in head.split(b"\r\n") if text.startswith(b"Subject: ")]
    return found


def test_one_bad_line_does_not_stop_its_neighbours(place: Place, box: BoxAtPlace) -> None:
    bad: list[bytes | dict[str, Any]] = [
        b"{not json",
        b'{"_uid": 1',
        line("foreign", sender="ann@b.lokole.test"),
        line("no-sender", sender=None),
        line("typed", to="bob@example.org", subject=7),
        b"[]",
        b"\xff\xfe",
    ]
    lines: list[bytes | dict[str, Any]] = []
    for n, one in enumerate(bad):
        lines += [line(f"good-{n}"), one]
    box.put_bytes(archive([*lines, line("last")]), seq=2)
    assert subjects(place) == [*(f"good-{n}" for n in range(len(bad))), "last"]
    apart = place.quarantined()
    assert len(apart) == len(bad)
    assert all(one.reason and one.raw_ref for one in apart)
    for row in apart:
        assert row.raw_ref is not None
        assert place.ports.blobs.size(row.raw_ref) > 0
        assert "bob" not in row.reason and "ann" not in row.reason


@pytest.mark.parametrize(
    "sender",
    [
        "ann@b.lokole.test",
        "ann@lokole.test",
        "ann@evil-a.lokole.test",
        "ann@a.lokole.test.evil.test",
        "ann@sub.a.lokole.test",
        "Ann <ann@a.lokole.test>, eve@example.org",
        "ann@a.lokole.test@b.lokole.test",
        "ann@b.lokole.test\r\nFrom: ann@a.lokole.test",
        "@a.lokole.test",
        "ann@",
        "",
        "ann@а.lokole.test",  # a Cyrillic letter
    ],
)
def test_a_box_sends_as_its_own_domain_only(place: Place, box: BoxAtPlace, sender: str) -> None:
    place.box("b.lokole.test", ["ann"])
    box.put_bytes(archive([line(sender=sender)]), seq=2)
    assert place.world.attempts == []
    assert [one.kind for one in place.quarantined()] == ["record"]


def test_the_sender_may_be_written_in_any_case(place: Place, box: BoxAtPlace) -> None:
    box.put_bytes(archive([line(sender="Ann@A.LOKOLE.test.")]), seq=2)
    assert (
        b"From: Ann@a.lokole.test" in place.world.sent[0].message
        or b"<Ann@a.lokole.test>" in place.world.sent[0].message
    )


def test_answers_are_asked_for_at_the_own_domain_only(place: Place, box: BoxAtPlace) -> None:
    box.put_bytes(archive([line(reply_to=["eve@example.org", "carl@a.lokole.test"])]), seq=2)
    head = place.world.sent[0].message.partition(b"\r\n\r\n")[0]
    assert b"Reply-To: carl@a.lokole.test" in head
    assert b"eve@example.org" not in head


def test_people_of_another_domain_are_kept_apart(place: Place, box: BoxAtPlace) -> None:
    other = place.box("b.lokole.test", ["bob"])
    hashed = "$2b$12$" + "x" * 53
    box.put(
        [
            AccountRecord("bob@b.lokole.test", password_hash=hashed, version=9),
            AccountRecord("zoe@a.lokole.test", version=1),
        ]
    )
    with place.ports.database.read() as tx:
        hashes = tx.execute(select(account_table.c.password_hash)).scalars().all()
        assert [one.name for one in list_accounts(tx, place.row("a.lokole.test").no)] == ["ann", "zoe"]
    assert set(hashes) == {None}
    assert [one.kind for one in place.quarantined()] == ["record"]
    assert other.fetch() == []


def test_a_password_hash_comes_and_goes_with_roaming(place: Place, box: BoxAtPlace) -> None:
    hashed = "$2b$12$" + "x" * 53

    def known() -> list[str | None]:
        with place.ports.database.read() as tx:
            return list(tx.execute(select(account_table.c.password_hash)).scalars())

    box.put([AccountRecord("ann@a.lokole.test", password_hash=hashed, version=2)])
    assert known() == [hashed]
    box.put([AccountRecord("ann@a.lokole.test", version=3)])
    assert known() == [None]
    # an older word that comes late does not undo the newer one
    box.put([AccountRecord("ann@a.lokole.test", password_hash=hashed, language="fr", version=2)])
    assert known() == [None]


def test_who_left_the_box_is_nobody_at_the_server_and_leaves_nothing(place: Place, box: BoxAtPlace) -> None:
    ann = "ann@a.lokole.test"
    assert strangers.decide(place.ports, "bob@example.org", ann) is strangers.Verdict.HERE
    box.put([AccountRecord("ann@a.lokole.test", version=2, removed=True)])
    with place.ports.database.read() as tx:
        assert list_accounts(tx, place.row("a.lokole.test").no) == []
    assert strangers.decide(place.ports, "bob@example.org", ann) is not strangers.Verdict.HERE


def test_a_package_that_breaks_off_keeps_what_came_before(place: Place, box: BoxAtPlace) -> None:
    whole = archive([line(f"u{n}", body="<p>" + "x" * 20_000 + "</p>") for n in range(50)])
    plain = gzip.decompress(whole)
    broken = gzip.compress(plain[: len(plain) // 2])
    box.put_bytes(broken, seq=2)
    assert 20 < len(place.world.sent) < 50
    (apart,) = place.quarantined()
    assert apart.kind == "package"
    assert apart.raw_ref is not None
    assert place.ports.blobs.read(apart.raw_ref) == broken
    box.put_bytes(whole, seq=3)
    assert len(place.world.sent) == 50


@pytest.mark.parametrize("content", [b"", b"nothing of ours", b"\x28\xb5\x2f\xfd\x00", gzip.compress(b"\0" * 100_000)])
def test_what_is_no_package_is_kept_apart_and_answered_all_the_same(
    place: Place, box: BoxAtPlace, content: bytes
) -> None:
    box.put_bytes(content, seq=2)
    assert [one.kind for one in place.quarantined()] == ["package"]
    box.put_bytes(archive([line()]), seq=3)
    assert len(place.world.sent) == 1


def test_a_file_that_follows_its_letter_travels_with_it(place: Place, box: BoxAtPlace) -> None:
    letter = EmailRecord(
        "u1", Email(sender=Contact("ann@a.lokole.test"), to=(Contact("bob@example.org"),), subject="s")
    )
    box.put([letter, AttachmentRecord("f1", Attachment("late.txt", b"late words", "text/plain"), ("u1",))])
    (sent,) = place.world.sent
    assert b"late.txt" in sent.message


def test_a_letter_stands_among_the_sent_letters_of_its_writer(place: Place, box: BoxAtPlace) -> None:
    box.put_bytes(
        archive([line("u1", to=("bob@example.org", "carl@a.lokole.test"))], [{"email": "carl@a.lokole.test"}]), seq=2
    )
    row = place.row("a.lokole.test")
    with place.ports.database.read() as tx:
        ann = next(one for one in list_accounts(tx, row.no) if one.name == "ann")
        assert [one.subject for one in list_folder(tx, ann, "sent").rows] == ["u1"]
        assert not list_folder(tx, ann, "inbox").rows


def test_a_worker_that_dies_in_the_middle_sends_each_letter_once(place: Place, box: BoxAtPlace) -> None:
    """The package is read a second time from its beginning, as after a power cut."""
    from sqlalchemy import update

    from lokole.mailbox.schema import job as job_table
    from lokole.mailbox.schema import package as package_table

    content = packed(
        [
            EmailRecord(f"u{n}", Email(sender=Contact("ann@a.lokole.test"), to=(Contact("bob@example.org"),)))
            for n in range(5)
        ]
    )
    box.put_bytes(content, seq=2)
    with place.ports.database.write() as tx:
        tx.execute(update(package_table).where(package_table.c.direction == "up").values(state="held"))
        tx.execute(update(job_table).where(job_table.c.kind == "unpack").values(state="ready", attempts=0))
    assert place.work() >= 1
    assert len(place.world.sent) == 5


def test_two_letters_of_twins_under_one_name_leave_under_two_message_ids(place: Place, box: BoxAtPlace) -> None:
    shared = f"<{'1' * 32}@a.lokole.test>"
    for seq, subject in ((2, "from the one"), (3, "from the other")):
        email = Email(
            Contact("ann@a.lokole.test"), to=(Contact("bob@example.org"),), subject=subject, message_id=shared
        )
        box.put([EmailRecord("1" * 32, email)], seq=seq)
    assert subjects(place) == ["from the one", "from the other"]
    lines = [line for one in place.world.sent for line in one.message.split(b"\r\n") if line.startswith(b"Message-ID:")]
    assert len(set(lines)) == 2
    assert lines[0] == f"Message-ID: {shared}".encode()
    assert [one.kind for one in place.quarantined()] == ["twin"]


def test_a_package_that_was_held_before_its_key_was_taken_back_is_read(place: Place, box: BoxAtPlace) -> None:
    place.ports.bell.work_inline(lambda: None)
    sender, to = Contact("ann@a.lokole.test"), (Contact("bob@example.org"),)
    box.put_sealed([EmailRecord("0" * 32, Email(sender=sender, to=to, subject="held"))])
    place.clock.pass_by(minutes=1)
    assert place.client.delete("/api/email/register/a.lokole.test/keys", auth=OPERATOR).status_code == 200
    place.work()
    assert len(place.world.sent) == 1


def test_a_box_is_told_of_the_frame_that_was_not_taken_behind_a_letter_whose_file_never_came(
    place: Place, box: BoxAtPlace
) -> None:
    frames = [
        (1, {"_uid": f"{1:032x}", "from": "ann@a.lokole.test", "to": ["bob@example.org"], "attachments": [{}, {}]}),
        (1, {"_uid": f"{2:032x}", "from": "nobody@elsewhere.test", "to": ["bob@example.org"]}),
    ]
    payload = gzip.compress(b"".join(b"".join(write_frame(kind, jsontext.write(body))) for kind, body in frames), 1)
    out = io.BytesIO()
    header = Header("up", box.domain, box.device_id, box.epoch, 9, PayloadKind.GZ)
    seal(
        out,
        header,
        [payload],
        sender_seed=box.seed,
        recipient_public=box.server_key,
        entropy=random.Random(9).randbytes,
    )
    digest = body_sha256(out.getvalue())
    headers = {"Content-Type": CONTENT_TYPE, "Lokole-Epoch": str(box.epoch), "Lokole-Seq": "9"}
    assert box.call("PUT", f"/api/exchange/packages/{digest}", out.getvalue(), headers).status_code == 201
    with place.ports.database.read() as tx:
        assert outbound.told_of(tx, place.row("a.lokole.test").no, "down", digest) == {1, 2}


def test_a_package_that_was_given_up_holds_nothing_up_and_can_be_tried_again(
    place: Place, box: BoxAtPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise KeyError("a fault of ours")

    with monkeypatch.context() as patch:
        patch.setattr(unpack, "read_package", broken)
        box.put([EmailRecord("u1", Email(Contact("ann@a.lokole.test"), (Contact("bob@example.org"),), subject="Late"))])
        for _ in range(20):
            place.clock.pass_by(hours=2)
            place.work()
    assert place.jobs("dead", "unpack") == 1
    (apart,) = place.quarantined()
    assert (apart.kind, apart.reason) == ("package", "given up: KeyError")
    with place.ports.database.write() as tx:
        assert not held.any_in_state(tx, place.row("a.lokole.test").no, "up", "held"), "the comparison goes on"
        (dead,) = jobs.dead_jobs(tx)
        jobs.revive(tx, dead.no, place.clock())
    place.work()
    assert subjects(place) == ["Late"]
    assert place.quarantined() == []


def test_a_box_hears_of_a_package_that_was_given_up_unless_that_is_read_after_all(
    place: Place, box: BoxAtPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It packs half as many letters then; a comparison alone would bring the same ones again, to be given up together every time."""

    def broken(*_: object, **__: object) -> None:
        raise KeyError("a fault of ours")

    row, sender, to = place.row("a.lokole.test"), Contact("ann@a.lokole.test"), (Contact("bob@example.org"),)
    letter = EmailRecord("0" * 32, Email(sender, to, subject="Late"))
    sha256 = body_sha256(box.sealed([letter], 2))
    with monkeypatch.context() as patch:
        patch.setattr(unpack, "read_sealed", broken)
        box.put_sealed([letter], seq=2)
        for _ in range(20):
            place.clock.pass_by(hours=2)
            place.work()
    of_box = package_digest("up", box.epoch, 2, [bytes(16)], sha256=sha256)
    assert reconcile.compare(place.ports, row, [of_box]).withdrawn == ()
    with place.ports.database.write() as tx:
        assert outbound.told_of(tx, row.no, "down", sha256) == {0}
        (dead,) = jobs.dead_jobs(tx)
        jobs.revive(tx, dead.no, place.clock())
    place.work()
    assert subjects(place) == ["Late"]
    with place.ports.database.read() as tx:
        assert outbound.told_of(tx, row.no, "down", sha256) == set()


@pytest.mark.parametrize(("fault", "told_first"), [(MemoryError, False), (KeyError, True)])
def test_a_letter_that_is_taken_when_its_package_is_read_again_is_not_told(
    place: Place, box: BoxAtPlace, monkeypatch: pytest.MonkeyPatch, fault: type[Exception], told_first: bool
) -> None:
    """Its writer would read that it was refused, and it has left."""
    faults: list[Exception] = [fault(), Temporary("the disk is full")]
    told: list[set[int]] = []

    def flaky(body: str) -> str:
        with place.ports.database.read() as tx:
            told.append(outbound.told_of(tx, row.no, "down", sha256))
        if faults:
            raise faults.pop(0)
        return make_safe(body)

    monkeypatch.setattr(unpack, "make_safe", flaky)
    row = place.row("a.lokole.test")
    sender, to = Contact("ann@a.lokole.test"), (Contact("bob@example.org"),)
    letters = [EmailRecord(f"{n:032x}", Email(sender, to, subject=f"{n}")) for n in range(2)]
    sha256 = body_sha256(box.sealed(letters, 2))
    box.put_sealed(letters, seq=2)
    for _ in range(4):
        place.clock.pass_by(minutes=20)
        place.work()
    assert subjects(place) == ["0", "1"]
    assert ({0 + 1} in told) is told_first, "else this test tests nothing"
    with place.ports.database.read() as tx:
        assert outbound.told_of(tx, row.no, "down", sha256) == set()


def test_limits_of_a_box_hold_for_what_is_written_at_the_server(place: Place, box: BoxAtPlace) -> None:
    told = [
        RequestRecord("limits", "", {"account": "", "files": 2}),
        RequestRecord("limits", "x", {"account": "", "files": "many"}),
        RequestRecord("limits", "ann", {"account": "ann", "local_only": True}),
    ]
    box.put_sealed(told)
    place.work()
    row = place.row("a.lokole.test")
    with place.ports.database.read() as tx:
        assert box_limits(tx, row.no) == BoxLimits(files=2)
        (ann,) = list_accounts(tx, row.no)
        assert get_standing(tx, ann).local_only
    assert len(place.quarantined()) == 1, "one that cannot be read stops none of the others"
