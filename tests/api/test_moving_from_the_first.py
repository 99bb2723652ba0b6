"""Moving from a first Lokole's server: a store of its layout is taken in, twice, and its boxes go on against this one."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import bcrypt
import pytest
from click.testing import CliRunner

from lokole.adapters.archive.open import open_archive
from lokole.cli import main
from lokole.config import Url
from lokole.mail.errors import Refused, Temporary
from lokole.mail.model import DeliveryState
from lokole.mailbox import letters as kept
from lokole.mailbox.accounts import find_account, password_hash
from lokole.mailbox.entries import holders
from lokole.mailbox.recipients import deliveries
from lokole.mailbox.seen import seen_email
from lokole.ports.archive import Archive
from lokole.server.move.domains import LETTER, Source
from lokole.server.move.report import Report
from lokole.server.move.run import import_first, is_same_exchange
from lokole.sync.package import read_package
from lokole.sync.records import EmailRecord
from tests import first_server as first
from tests.first_server import CLIENT_A, CLIENT_B, A, B
from tests.unit.server.place import OPERATOR, Place, place_in


class Old:
    """The first server's storage in a folder, and the new server beside it, which uses the same exchange."""

    def __init__(self, place: Place, root: Path) -> None:
        self.place, self.root = place, root
        self.put = first.folder_put(root)

    def move(self, **options: Any) -> Report:
        archive = open_archive(f"folder://{self.root}")
        source = Source(archive, archive, archive)
        return import_first(self.place.ports, source, clients_url=f"folder://{self.root}", **options)

    def files(self) -> dict[str, bytes]:
        return {str(path.relative_to(self.root)): path.read_bytes() for path in self.root.rglob("*") if path.is_file()}

    def fetch(self, client_id: str) -> list[EmailRecord]:
        name = self.place.client.get(f"/api/email/download/{client_id}?compression=gz").json()["resource_id"]
        if name is None:
            return []
        content = (self.root / "compressedpackages" / name).read_bytes()
        self.place.clock.pass_by(hours=1)
        return [one for one in read_package(io.BytesIO(content)) if isinstance(one, EmailRecord)]

    def letter(self, domain: str, uid: str) -> tuple[kept.StoredEmail, list[str]]:
        """A letter as it is kept, and the names of those who have it."""
        row = self.place.row(domain)
        with self.place.ports.database.read() as tx:
            no = seen_email(tx, row.no, LETTER, uid)
            assert no is not None, uid
            people = {one: one.no for name in ("ann", "zoe", "o'hara+x") if (one := find_account(tx, row.no, name))}
            held = holders(tx, row.no, no)
            return kept.read_email(tx, row.no, no), [one.name for one, number in people.items() if number in held]


class BreaksOff:
    """A storage that is out of reach after so many reads."""

    def __init__(self, archive: Archive, after: int) -> None:
        self._archive, self._left = archive, after

    def names(self, container: str) -> list[str]:
        return self._archive.names(container)

    def read(self, container: str, name: str, max_bytes: int) -> bytes:
        if not self._left:
            raise Temporary("out of reach")
        self._left -= 1
        return self._archive.read(container, name, max_bytes)


@contextmanager
def old_in(folder: Path, **changes: Any) -> Iterator[Old]:
    root = folder / "first"
    with place_in(folder / "server", v1_boxes=True, exchange=Url(f"folder://{root}"), **changes) as place:
        yield Old(place, root)


@pytest.fixture
def old(tmp_path: Path) -> Iterator[Old]:
    with old_in(tmp_path) as made:
        first.fill(made.put)
        yield made


def counts(report: Report) -> dict[str, tuple[int, int, int]]:
    return {kind: (one.new, one.known, one.bad) for kind, one in report.counts.items()}


def test_everything_is_taken_once_and_the_storage_is_left_as_it_was(old: Old) -> None:
    before = old.files()
    report = old.move()
    assert report.problems == []
    assert counts(report) == {
        "domains": (2, 0, 0),
        "people": (2, 0, 0),
        "letters": (7, 0, 0),
        "waiting": (2, 0, 0),
        "raw": (1, 0, 0),
        "packages": (1, 1, 0),
    }
    assert report.without_password == [f"o'hara+x@{A}"]
    assert report.for_boxes == 1
    assert {name: old.files().get(name) for name in before} == before
    old.place.work()
    again = old.move()
    assert counts(again) == {
        "domains": (0, 2, 0),
        "people": (0, 2, 0),
        "letters": (0, 7, 0),
        "waiting": (0, 2, 0),
        "raw": (0, 1, 0),
        "packages": (0, 2, 0),
    }


def test_a_trial_counts_the_same_and_writes_nothing(old: Old) -> None:
    report = old.move(dry=True)
    assert counts(report)["letters"] == (7, 0, 0)
    assert counts(report)["waiting"] == (2, 0, 0)
    assert counts(report)["domains"] == (2, 0, 0)
    assert old.place.client.get("/api/email/register/", auth=OPERATOR).json() == {"clients": []}


def test_rows_are_what_the_boxes_know(old: Old) -> None:
    old.move()
    row = old.place.row(A)
    assert (row.device_id, row.webhook_secret, row.owner, row.v1, row.state) == (
        CLIENT_A,
        CLIENT_A,
        "octo",
        True,
        "waiting",
    )
    assert row.v1_container == "compressedpackages"
    assert (old.place.row(B).device_id, old.place.row(B).owner) == (CLIENT_B, "")


def test_people_keep_a_password_that_sign_in_accepts(old: Old) -> None:
    old.move()
    row = old.place.row(A)
    with old.place.ports.database.read() as tx:
        ann, hara = find_account(tx, row.no, "ann"), find_account(tx, row.no, "o'hara+x")
        assert ann is not None and hara is not None
        assert (password_hash(tx, ann), ann.roaming) == (first.HASH, True)
        assert (password_hash(tx, hara), hara.roaming) == (None, False)


@pytest.mark.parametrize("rounds", [12, 10])
def test_people_sign_in_in_town_with_the_password_they_had(tmp_path: Path, rounds: int) -> None:
    """A hash of the first Lokole is like ours and stays; only one that is weaker than ours is made again."""
    theirs = first.HASH if rounds == 12 else bcrypt.hashpw(first.PASSWORD.encode(), bcrypt.gensalt(rounds)).decode()
    with old_in(tmp_path, web=True) as old:
        first.fill(old.put)
        old.put("users", f"{A}/ann@{A}.msgpack.gz", first.as_object({"email": f"ann@{A}", "password": theirs}))
        old.move()

        def enter(password: str) -> str:
            page = old.place.client.get("/web/user/login").text
            token = re.search(r'name="?csrf_token"?[^>]*value="?([^"> ]+)', page)
            assert token is not None, page
            form = {"csrf_token": token[1], "name": f"ann@{A}", "password": password}
            answer = old.place.client.post("/web/user/login", data=form, follow_redirects=False)
            return answer.headers.get("location", str(answer.status_code))

        assert enter("mango river") == "403"
        for _ in range(2):
            assert enter(first.PASSWORD) == "/web/email/inbox"
            with old.place.ports.database.read() as tx:
                ann = find_account(tx, old.place.row(A).no, "ann")
                assert ann is not None
                kept_hash = password_hash(tx, ann)
            assert kept_hash is not None
            assert (kept_hash == theirs) == (rounds == 12)
            assert kept_hash.startswith("$2b$12$")
            old.place.client.cookies.clear()


def test_letters_are_where_they_were(old: Old) -> None:
    old.move()
    got, people = old.letter(A, first.IN_OLD)
    assert (got.email.subject, got.email.body, people) == ("old one", "<p>old one</p>", ["ann"])
    assert got.email.sent_at is not None and got.email.sent_at.isoformat() == "2026-01-05T10:00:00+00:00"
    (file,) = got.attachments
    assert (file.filename, file.cid) == ("p.jpg", "c1")
    assert old.place.ports.blobs.read(f"{A}/{file.sha256}") == b"\xff\xd8\x00picture"
    assert old.letter(B, first.IN_BOTH)[0].email.subject == "to both"
    sent, writers = old.letter(A, first.OUT)
    assert (sent.uid, writers) == (first.OUT, ["ann"])
    with old.place.ports.database.read() as tx:
        told = deliveries(tx, old.place.row(A).no, sent.no)
    assert [(one.address, one.state) for one in told] == [
        ("bob@example.org", DeliveryState.ACCEPTED),
        ("carl@example.org", DeliveryState.ACCEPTED),
    ]
    assert old.letter(B, first.OUT_UNINDEXED)[1] == ["zoe"]
    numbers = [old.letter(A, uid)[0].no for uid in (first.IN_OLD, first.OUT, first.IN_BOTH, first.IN_WAITS)]
    assert numbers == sorted(numbers), "lists are in the order in which letters were sent"


def test_the_boxes_go_on(old: Old) -> None:
    """What waited comes once, what had come and was not read comes too, and what was sent is not sent again."""
    old.move()
    old.place.work()
    assert sorted(one.email.subject for one in old.fetch(CLIENT_A)) == ["not read yet", "still waits"]
    assert [one.email.subject for one in old.fetch(CLIENT_B)] == ["waits at b"]
    assert [one.recipient for one in old.place.world.sent] == ["bob@example.org"], "only what nobody had read"
    old.put("compressedpackages", "tonight.tar.gz", first.uploaded(first.OUT, "77777777-0000-4000-8000-000000000007"))
    answer = old.place.client.post(f"/api/email/upload/{CLIENT_A}", json={"resource_id": "tonight.tar.gz"})
    assert (answer.status_code, answer.json()) == (200, "uploaded")
    assert len(old.place.world.sent) == 2
    assert old.place.webhook(CLIENT_A, first.RAW.replace(b"not read yet", b"new"), [f"ann@{A}"]).status_code == 200
    assert [one.email.subject for one in old.fetch(CLIENT_A)] == ["new"]
    old.move()
    old.place.work()
    assert old.fetch(CLIENT_A) == old.fetch(CLIENT_B) == []
    assert len(old.place.world.sent) == 2


def test_what_a_box_fetched_from_the_first_server_after_a_trial_run_waits_here_no_more(old: Old) -> None:
    old.move()
    (old.root / "pendingemails" / A / f"{first.IN_WAITS}.txt.gz").unlink()
    assert old.move().fetched_there == 1
    old.place.work()
    assert [one.email.subject for one in old.fetch(CLIENT_A)] == ["not read yet"]
    assert old.move().fetched_there == 0


def test_bad_objects_are_named_and_their_neighbours_come(old: Old) -> None:
    old.put("emails", f"{'b' * 64}.msgpack.gz", b"no gzip")
    old.put("emails", f"{first.OUT}.msgpack.gz", first.as_object([1])[:-6])
    old.put("users", f"{A}/x@{A}.msgpack.gz", first.as_text("no msgpack"))
    old.put("pendingemails", f"{A}/{'c' * 64}.txt.gz", first.as_text("pending"))
    old.put("mailbox", "nonsense", b"")
    old.put("compressedpackages", "broken.tar.zstd", b"broken")
    old.put("clientsauth", "domain/x.msgpack.gz", first.as_object({"client_id": 7, "domain": "x"}))
    bad_file = [{"filename": "lost.txt", "content": None}]
    old.put(
        "emails",
        f"{first.IN_OLD}.msgpack.gz",
        first.as_object(first.letter(first.IN_OLD, "bob@example.org", [f"ann@{A}"], "old one", attachments=bad_file)),
    )
    report = old.move()
    assert sorted((container, name) for container, name, _ in report.problems) == sorted([
        ("emails", "b" * 64), ("emails", first.OUT), ("users", f"{A}/x@{A}.msgpack.gz"), ("emails", "c" * 64),
        ("mailbox", "nonsense"), ("compressedpackages", "broken.tar.zstd"), ("clientsauth", "domain/x.msgpack.gz"),
        ("emails", first.IN_OLD),
    ])  # fmt: skip
    assert counts(report)["letters"] == (6, 0, 4)
    assert not report.is_whole
    assert old.letter(A, first.IN_OLD)[0].email.subject == "old one"


@pytest.mark.parametrize("after", range(0, 18, 2))
def test_a_run_that_broke_off_goes_on_where_it_was(old: Old, after: int) -> None:
    archive = BreaksOff(open_archive(f"folder://{old.root}"), after)
    with pytest.raises(Temporary):
        import_first(old.place.ports, Source(archive, archive, archive), clients_url=f"folder://{old.root}")
    report = old.move()
    assert report.problems == []
    assert counts(report)["letters"][0] + counts(report)["letters"][1] == 7
    old.place.work()
    assert sorted(one.email.subject for one in old.fetch(CLIENT_A)) == ["not read yet", "still waits"]
    assert [one.email.subject for one in old.fetch(CLIENT_B)] == ["waits at b"]
    assert len(old.place.world.sent) == 1


def test_the_command_says_what_it_did_and_ends_with_1_when_something_was_left_out(old: Old, tmp_path: Path) -> None:
    environ = {
        "LOKOLE_REGISTRATION_USERNAME": OPERATOR[0],
        "LOKOLE_REGISTRATION_PASSWORD": OPERATOR[1],
        "LOKOLE_MAIL_OUT": "recorder:",
        "LOKOLE_DATA": str(tmp_path / "command"),
        "LOKOLE_V1_BOXES": "yes",
        "LOKOLE_EXCHANGE": f"folder://{old.root}",
        "LOKOLE_FIRST_BLOBS_KEY": "not needed for a folder",
    }
    command = ["server", "import-first", *(f"--{one}=folder://{old.root}" for one in ("blobs", "tables", "clients"))]
    done = CliRunner().invoke(main, [*command, "--json"], env=environ)
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["letters"] == {"new": 7, "known": 0, "bad": 0}
    old.put("sendgridinboundemails", "broken.txt.gz", b"broken")
    done = CliRunner().invoke(main, command, env=environ)
    assert done.exit_code == 1
    assert "letters: 0 new, 7 here before, 0 left out." in done.stdout
    assert "Left out: sendgridinboundemails/broken.txt.gz: it is not gzip, or damaged." in done.stdout
    assert "hello there" not in done.output


def test_only_the_domains_that_are_asked_for(old: Old) -> None:
    assert counts(old.move(only=[B]))["domains"] == (1, 0, 0)
    with pytest.raises(AssertionError):
        old.place.row(A)
    assert counts(old.move())["domains"] == (1, 1, 0)
    assert old.letter(A, first.IN_BOTH)[0].email.subject == "to both"
    with pytest.raises(Refused, match="does not know"):
        old.move(only=["c.lokole.test"])


def test_a_domain_that_is_another_box_here_is_left_alone(old: Old) -> None:
    old.place.register(A)
    report = old.move()
    assert [reason for _, _, reason in report.problems if "another box" in reason]
    assert old.place.row(A).device_id != CLIENT_A


def test_deleting_one_domain_leaves_the_packages_of_the_others(old: Old) -> None:
    old.move()
    old.place.client.delete(f"/api/email/register/{A}", auth=OPERATOR)
    old.place.work()
    assert (old.root / "compressedpackages" / "down.tar.zstd").exists()


def test_one_moved_box_cannot_have_anothers_package_read(old: Old) -> None:
    old.move()
    old.put("compressedpackages", "mine.tar.gz", first.uploaded("88888888-0000-4000-8000-000000000008"))
    mine = old.place.client.post(f"/api/email/upload/{CLIENT_A}", json={"resource_id": "mine.tar.gz"})
    theirs = old.place.client.post(f"/api/email/upload/{CLIENT_B}", json={"resource_id": "mine.tar.gz"})
    assert (mine.status_code, theirs.status_code) == (200, 403)


def test_settings_that_the_boxes_cannot_live_with_are_refused(tmp_path: Path) -> None:
    with place_in(tmp_path / "server") as place:
        (tmp_path / "first").mkdir()
        made = Old(place, tmp_path / "first")
        with pytest.raises(Refused, match="LOKOLE_V1_BOXES"):
            made.move()
    with old_in(tmp_path / "other") as empty, pytest.raises(Refused, match="clientsauth"):
        empty.root.mkdir(exist_ok=True)
        empty.move()


@pytest.mark.parametrize(
    ("exchange", "clients", "same"),
    [
        ("azure://acc/compressedpackages", "azure://acc", True),
        ("azure://acc/other", "azure://acc", False),
        ("azure://acc/compressedpackages", "azure://copy", False),
        ("folder:///x", "folder:///x/", True),
        ("folder:///y", "folder:///x", False),
    ],
)
def test_it_says_when_boxes_would_look_elsewhere(exchange: str, clients: str, same: bool) -> None:
    assert is_same_exchange(exchange, clients) is same
