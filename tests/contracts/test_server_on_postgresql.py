"""The server's way of a letter on a real PostgreSQL: registered, received, packed, acknowledged, sent, refused, forgotten."""

from __future__ import annotations

import io
import smtplib
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from lokole.config import Url
from lokole.mail.errors import Permanent, Temporary
from lokole.mail.model import Attachment, Contact, Email
from lokole.mailbox import letters, packages, tenants
from lokole.mailbox.leaving import take_account
from lokole.mailbox.migrate import migrate
from lokole.mailbox.seen import find_by_uid
from lokole.server import exchange, intake, offer
from lokole.server.sweep import Sweeper
from lokole.server.worker import Worker
from lokole.sync.records import AccountRecord, AttachmentRecord, EmailRecord
from lokole.sync.signing import body_sha256
from tests.servers import Postgres, postgres
from tests.unit.server.place import OPERATOR, Place, message, packed, place_in

pytestmark = pytest.mark.e2e


def letter(uid: str) -> EmailRecord:
    return EmailRecord(uid, Email(sender=Contact("ann@a.lokole.test"), to=(Contact("bob@example.org"),), subject=uid))


def test_a_letter_goes_out_and_in(tmp_path: Path, postgres_server: Postgres, postgres_template: str) -> None:
    url = Url(postgres_server.new_database(postgres_template))
    with place_in(tmp_path, database=url) as place:
        box = place.box("a.lokole.test", ["ann"])
        place.world.troubles = [Temporary("busy"), Permanent("no", reason="550 no")]
        box.put([letter("u1"), letter("u2")])
        box.put([letter("u1")])
        place.clock.pass_by(minutes=1)
        place.work()
        assert len(place.world.sent) == 1
        for _ in range(3):
            place.webhook(box.webhook, message(), ["ann@a.lokole.test", "zoe@a.lokole.test"])
        arrived = box.fetch(unsent=True)
        assert sorted(one.email.subject for one in arrived) == ["Your letter did not arrive: u2", "hello"]
        place.clock.pass_by(hours=1)
        box.put([AccountRecord("zoe@a.lokole.test", version=1)])
        assert [[str(who) for who in one.email.recipients] for one in box.fetch()] == [["zoe@a.lokole.test"]]
        box.put_bytes(b"nothing of ours", seq=9)
        assert place.client.get("/api/email/metrics/trouble", auth=OPERATOR).json()["quarantined"] == {"package": 1}
        place.clock.pass_by(days=40)
        Sweeper(place.ports).sweep()
        assert place.client.delete("/api/email/register/a.lokole.test", auth=OPERATOR).status_code == 200
        assert list(place.ports.blobs.list()) == []


def test_who_leaves_and_who_appears_wait_for_each_other(
    tmp_path: Path, postgres_server: Postgres, postgres_template: str
) -> None:
    """Between two looks of one of them the letter of both could be nobody's, and be emptied."""
    url = Url(postgres_server.new_database(postgres_template))
    with place_in(tmp_path, database=url) as place, ThreadPoolExecutor(2) as pool:
        box = place.box("a.lokole.test", ["ann"])
        row = place.row("a.lokole.test")
        place.webhook(box.webhook, message(), ["ann@a.lokole.test", "zoe@a.lokole.test"])
        place.clock.pass_by(days=2)  # so that it is looked for zoe again

        def ann_leaves() -> None:
            with place.ports.database.write() as tx:
                take_account(tx, row.no, AccountRecord("ann@a.lokole.test", version=2, removed=True), place.clock())

        with place.ports.database.write() as tx:
            tenants.lock(tx, row.no)
            both: list[Future[Any]] = [pool.submit(ann_leaves), pool.submit(place.work)]
            for one in both:
                with pytest.raises(TimeoutError):
                    one.result(0.5)
        for one in both:
            one.result(30)
        box.put([AccountRecord("zoe@a.lokole.test", version=1)])
        place.clock.pass_by(hours=1)
        place.work()
        whole = {str(who) for one in box.fetch() if one.email.subject == "hello" for who in one.email.recipients}
        assert "zoe@a.lokole.test" in whole


def test_one_package_that_comes_twice_at_once_is_held_once(
    tmp_path: Path, postgres_server: Postgres, postgres_template: str
) -> None:
    url = Url(postgres_server.new_database(postgres_template))
    with place_in(tmp_path, database=url) as place:
        box = place.box("a.lokole.test", ["ann"])
        row = place.row("a.lokole.test")
        content = packed([letter("u1")])
        gate = threading.Barrier(4)
        made: list[bool] = []

        def upload() -> None:
            gate.wait()
            made.append(
                exchange.take(
                    place.ports,
                    row,
                    io.BytesIO(content),
                    sha256=body_sha256(content),
                    size=len(content),
                    epoch=box.epoch,
                    seq=5,
                    type="x",
                )
            )

        threads = [threading.Thread(target=upload) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(made) == [False, False, False, True]
        assert len(place.world.sent) == 1


def test_workers_and_builders_at_once_keep_out_of_each_others_way(
    tmp_path: Path, postgres_server: Postgres, postgres_template: str
) -> None:
    url = Url(postgres_server.new_database(postgres_template))
    with place_in(tmp_path, database=url) as place:
        box = place.box("a.lokole.test", ["ann"])
        place.ports.bell.work_inline(lambda: None)
        for n in range(60):
            intake.accept(place.ports, "bob@example.org", ["ann@a.lokole.test"], message(subject=f"{n}"))
        row = place.row("a.lokole.test")

        def work() -> None:
            Worker(place.ports).work_off()
            # no lock of this process: as builders of several would
            offer.build_one(place.ports, row)

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert place.jobs("ready") == place.jobs("dead") == 0
        offer.build_pending(place.ports, row)
        with place.ports.database.read() as tx:
            built = packages.packages_after(tx, row.no, "down", 0)
        assert sum(one.letters for one in built) == 60
        assert sorted(int(one.email.subject) for one in box.fetch()) == list(range(60))


def work_at_once(place: Place) -> None:
    """Four workers begin together."""
    gate = threading.Barrier(4)

    def work() -> None:
        gate.wait()
        Worker(place.ports).work_off()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    Worker(place.ports).work_off()


def test_a_letter_in_two_packages_that_are_read_at_once_is_stored_and_sent_once(
    tmp_path: Path, postgres_server: Postgres, postgres_template: str
) -> None:
    url = Url(postgres_server.new_database(postgres_template))
    with place_in(tmp_path, database=url) as place:
        box = place.box("a.lokole.test", ["ann"])
        place.ports.bell.work_inline(lambda: None)
        for _ in range(4):
            # a box from a backup packs the same letters once more, among others
            box.put([*(letter(f"{n:032x}") for n in range(10)), letter(f"{box.seq:032x}-own")])
        work_at_once(place)
        assert len(place.world.sent) == 14


def test_files_that_come_apart_in_packages_that_are_read_at_once_are_all_kept(
    tmp_path: Path, postgres_server: Postgres, postgres_template: str
) -> None:
    url = Url(postgres_server.new_database(postgres_template))
    with place_in(tmp_path, database=url) as place:
        box = place.box("a.lokole.test", ["ann"])
        box.put([letter("u1")])
        place.ports.bell.work_inline(lambda: None)
        names = [[f"{n}-{m}.txt" for m in range(10)] for n in range(4)]
        for some in names:
            box.put([AttachmentRecord(name, Attachment(name, name.encode()), ("u1",)) for name in some])
        work_at_once(place)
        row = place.row("a.lokole.test")
        with place.ports.database.read() as tx:
            no = find_by_uid(tx, row.no, "u1")
            assert no is not None
            files = letters.read_email(tx, row.no, no).attachments
        assert sorted(one.filename for one in files) == sorted(name for some in names for name in some)


def test_the_status_page_counts_days_letters_and_bytes(
    tmp_path: Path, postgres_server: Postgres, postgres_template: str
) -> None:
    url = Url(postgres_server.new_database(postgres_template))
    with place_in(tmp_path, database=url) as place:
        box = place.box("a.lokole.test", ["ann"])
        place.webhook(box.webhook, message(), ["ann@a.lokole.test"])
        box.fetch()
        place.webhook(box.webhook, message(text="y" * 500), ["ann@a.lokole.test"])
        told = place.client.get("/api/email/metrics/boxes", auth=OPERATOR).json()
        (shown,) = told["boxes"]
        assert (shown["waiting"], shown["traffic"]["letters_down"], told["days"][-1]["letters_down"]) == (1, 1, 1)
        assert 500 < shown["waiting_bytes"] < 600
        one = place.client.get("/api/email/metrics/boxes/a.lokole.test", auth=OPERATOR).json()
        assert one["days"][-1]["bytes_up"] == shown["traffic"]["bytes_up"] > 0


def test_while_the_database_is_gone_everybody_is_put_off_and_when_it_is_back_nothing_is_lost(tmp_path: Path) -> None:
    with postgres() as own:
        url = own.new_database()
        migrate(url)
        with place_in(tmp_path, database=Url(url), smtp_listen="127.0.0.1:0") as place:
            box = place.box("a.lokole.test", ["ann"])
            assert place.server.smtp is not None
            port = place.server.smtp.port

            def say(subject: str) -> int:
                with smtplib.SMTP("127.0.0.1", port, timeout=60) as line:
                    line.helo()
                    line.mail("bob@example.org")
                    code, _ = line.rcpt("ann@a.lokole.test")
                    return line.data(message(subject=subject))[0] if code == 250 else code

            def post(subject: str) -> int:
                return place.webhook(box.webhook, message(subject=subject), ["ann@a.lokole.test"]).status_code

            assert (say("one"), post("two")) == (250, 200)
            own.kill()
            assert (say("three"), post("four")) == (451, 503)
            box.put([letter("u1")], seq=1000, expect=503)
            answer = place.client.get("/api/email/metrics/boxes", auth=OPERATOR)
            assert (answer.status_code, answer.json()["code"]) == (503, "temporary")
            own.start()
            assert (say("three"), post("four")) == (250, 200)
            box.put([letter("u1")], seq=1000)
            assert sorted(one.email.subject for one in box.fetch()) == ["four", "one", "three", "two"]
            assert [one.recipient for one in place.world.sent] == ["bob@example.org"]
            assert place.quarantined() == []
