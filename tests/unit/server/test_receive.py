"""Mail from outside: for whom it is, that it is there once, and what becomes of what cannot be read."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlencode

import pytest

from lokole.adapters.blobs.memory import MemoryBlobStore
from lokole.mail.errors import Temporary
from lokole.mail.mime import build_mime
from lokole.mail.model import Attachment, Contact, Email, PictureLimits
from lokole.ports.identity import Caller
from lokole.server import devices, intake, strangers
from lokole.server.form import URLENCODED
from lokole.server.strangers import Verdict
from lokole.sync.records import EmailRecord
from tests.unit.server.place import OPERATOR, BoxAtPlace, Clock, Place, message, place_in

ANN = "ann@a.lokole.test"


@pytest.fixture
def box(place: Place) -> BoxAtPlace:
    return place.box("a.lokole.test", ["ann", "carl"])


def test_the_envelope_decides_whatever_the_headers_say(place: Place, box: BoxAtPlace) -> None:
    place.webhook(box.webhook, message(to="list@example.org"), [ANN])
    (arrived,) = box.fetch()
    assert [one.address for one in arrived.email.to] == ["list@example.org"]
    assert [str(one) for one in arrived.email.recipients] == [ANN]


def test_somebody_only_named_in_the_headers_gets_nothing(place: Place, box: BoxAtPlace) -> None:
    place.webhook(box.webhook, message(to=f"{ANN}, carl@a.lokole.test"), ["carl@a.lokole.test"])
    (arrived,) = box.fetch()
    assert [str(one) for one in arrived.email.recipients] == ["carl@a.lokole.test"]


def test_case_of_an_address_does_not_count(place: Place, box: BoxAtPlace) -> None:
    place.webhook(box.webhook, message(), ["ANN@A.Lokole.TEST."])
    assert len(box.fetch()) == 1


def test_without_an_envelope_to_and_cc_at_this_domain_count(place: Place, box: BoxAtPlace) -> None:
    place.webhook(box.webhook, message(extra="Cc: carl@a.lokole.test, eve@b.lokole.test\r\n"))
    (arrived,) = box.fetch()
    assert sorted(str(one) for one in arrived.email.recipients) == [ANN, "carl@a.lokole.test"]


@pytest.mark.parametrize("to", [["ann@b.lokole.test"], [], ["ann@evila.lokole.test"]])
def test_a_webhook_delivers_to_its_own_domain_only(place: Place, box: BoxAtPlace, to: list[str]) -> None:
    other = place.box("b.lokole.test", ["ann"])
    assert place.webhook(box.webhook, message(), to).status_code == 200
    assert box.fetch() == other.fetch() == []
    (apart,) = place.quarantined()
    assert apart.kind == "dead-letter"
    assert apart.raw_ref is not None
    assert place.ports.blobs.read(apart.raw_ref) == message()


def test_a_letter_addressed_to_nobody_here_by_its_headers_is_a_dead_letter(place: Place, box: BoxAtPlace) -> None:
    place.webhook(box.webhook, message(to="bob@example.org"))
    assert [one.kind for one in place.quarantined()] == ["dead-letter"]


def test_the_same_post_three_times_is_one_letter(place: Place, box: BoxAtPlace) -> None:
    for _ in range(3):
        assert place.webhook(box.webhook, message(), [ANN]).status_code == 200
    assert len(box.fetch()) == 1
    place.webhook(box.webhook, message(), [ANN])
    assert box.fetch() == []
    assert len(list(place.ports.blobs.list("a.lokole.test/raw/"))) == 1


def test_the_same_bytes_by_another_way_are_the_same_letter(place: Place, box: BoxAtPlace) -> None:
    place.webhook(box.webhook, message(), [ANN])
    intake.accept(place.ports, "bob@example.org", [ANN], message())
    assert len(box.fetch()) == 1


def test_the_same_bytes_to_another_person_are_another_letter(place: Place, box: BoxAtPlace) -> None:
    place.webhook(box.webhook, message(), [ANN])
    place.webhook(box.webhook, message(), [ANN, "carl@a.lokole.test"])
    assert [[str(one) for one in record.email.recipients] for record in box.fetch()] == [[ANN], ["carl@a.lokole.test"]]


def test_two_short_letters_alike_but_for_a_letter_are_two(place: Place, box: BoxAtPlace) -> None:
    place.webhook(box.webhook, message(text="yes"), [ANN])
    place.webhook(box.webhook, message(text="yes "), [ANN])
    assert len(box.fetch()) == 2


def test_two_tenants_in_one_envelope_each_get_their_own(place: Place, box: BoxAtPlace) -> None:
    other = place.box("b.lokole.test", ["dora"])
    intake.accept(place.ports, "", [ANN, "dora@b.lokole.test", "x@example.org"], message())
    assert [[str(one) for one in record.email.recipients] for record in box.fetch()] == [[ANN]]
    assert [[str(one) for one in record.email.recipients] for record in other.fetch()] == [["dora@b.lokole.test"]]
    assert place.world.sent == []


def test_raw_mail_is_kept_where_its_tenant_is(place: Place, box: BoxAtPlace) -> None:
    place.webhook(box.webhook, message(), [ANN])
    (key,) = place.ports.blobs.list("a.lokole.test/raw/")
    assert place.ports.blobs.read(key) == message()


def test_eight_bit_bytes_of_a_form_field_are_not_touched(place: Place, box: BoxAtPlace) -> None:
    raw = message(extra="Content-Type: text/plain; charset=iso-8859-1\r\n", text="").rstrip() + b"\r\n\r\ncaf\xe9\r\n"
    place.webhook(box.webhook, raw, [ANN])
    (arrived,) = box.fetch()
    assert "café" in arrived.email.body


def test_pictures_of_a_letter_from_outside_travel_small_and_other_files_as_they_are(
    place: Place, box: BoxAtPlace
) -> None:
    asked: list[PictureLimits] = []

    def shrink(content: bytes, limits: PictureLimits) -> tuple[bytes, str]:
        asked.append(limits)
        return content[:100], "image/webp"

    object.__setattr__(place.ports, "shrink", shrink)
    photo, plan = b"\xff\xd8\xff" + b"p" * 50_000, b"%PDF" + b"p" * 50_000
    email = Email(Contact("bob@example.org"), (Contact(ANN),), subject="the well", attachments=(
        Attachment("well.jpg", photo, "image/jpeg"), Attachment("plan.pdf", plan, "application/pdf"),
    ))  # fmt: skip
    place.webhook(box.webhook, build_mime(email, message_id="<m@example.org>", date=place.clock()), [ANN])
    (arrived,) = box.fetch()
    assert [(one.filename, one.type, one.content) for one in arrived.email.attachments] == [
        ("well.webp", "image/webp", photo[:100]),
        ("plan.pdf", "application/pdf", plan),
    ]
    assert asked == [place.ports.settings.pictures(v1=False)]


def test_a_letter_that_breaks_the_reader_is_kept_apart_and_its_neighbours_arrive(tmp_path: Path) -> None:
    with place_in(tmp_path) as place:
        box = place.box("a.lokole.test", ["ann"])
        too_big = message(subject="big") + b"x" * 40_000_001
        intake.accept(place.ports, "bob@example.org", [ANN], message(subject="before"))
        intake.accept(place.ports, "bob@example.org", [ANN], too_big)
        intake.accept(place.ports, "bob@example.org", [ANN], message(subject="after"))
        assert [one.email.subject for one in box.fetch()] == ["before", "after"]
        (apart,) = place.quarantined()
        assert (apart.kind, apart.reason) == ("mime", "the message is too big")
        assert apart.raw_ref is not None
        assert place.ports.blobs.size(apart.raw_ref) == len(too_big)


def test_mail_for_the_postmaster_stands_on_the_dead_letter_page(place: Place, box: BoxAtPlace) -> None:
    intake.accept(place.ports, "bob@example.org", ["postmaster@a.lokole.test"], message())
    assert box.fetch() == []
    (apart,) = place.quarantined()
    assert (apart.kind, apart.reason) == ("dead-letter", "for the operator of this domain")


def test_a_letter_that_comes_back_to_its_writer_is_dropped_and_others_of_the_list_get_it(
    place: Place, box: BoxAtPlace
) -> None:
    own = Email(
        sender=Contact(ANN), to=(Contact("list@example.org"),), subject="all", body="hi", message_id="<1@a.lokole.test>"
    )
    box.put([EmailRecord("u1", own)])
    echo = (
        b"From: ann@a.lokole.test\r\nTo: list@example.org\r\nSubject: [list] all\r\n"
        b"Message-ID: <1@a.lokole.test>\r\n\r\nhi\r\n"
    )
    intake.accept(place.ports, "list@example.org", [ANN, "carl@a.lokole.test"], echo)
    (arrived,) = box.fetch()
    assert [str(one) for one in arrived.email.recipients] == ["carl@a.lokole.test"]
    forged = echo.replace(b"From: ann@", b"From: mallory@")
    intake.accept(place.ports, "list@example.org", [ANN], forged)
    assert len(box.fetch()) == 1


def test_a_full_store_is_an_answer_to_come_again_and_nothing_is_kept(tmp_path: Path) -> None:
    with place_in(tmp_path) as place:
        box = place.box("a.lokole.test", ["ann"])
        blobs = place.ports.blobs
        full = _FullStore(blobs)
        object.__setattr__(place.ports, "blobs", full)
        answer = place.webhook(box.webhook, message(), [ANN])
        assert answer.status_code == 503
        assert answer.headers["retry-after"]
        object.__setattr__(place.ports, "blobs", blobs)
        assert place.jobs("ready") == 0
        assert place.webhook(box.webhook, message(), [ANN]).status_code == 200
        assert len(box.fetch()) == 1


class _FullStore:
    """A store whose disk is full: it reads, and takes nothing."""

    def __init__(self, inner: object) -> None:
        self._inner = inner

    def put(self, key: str, content: object) -> bool:
        raise Temporary("no space left")

    def __getattr__(self, name: str) -> object:
        return getattr(self._inner, name)


def test_a_store_that_fails_behind_is_tried_again_until_it_works(tmp_path: Path) -> None:
    clock = Clock()
    with place_in(tmp_path, clock=clock) as place:
        box = place.box("a.lokole.test", ["ann"])
        picture = message(extra="Content-Type: application/octet-stream\r\n", text="data")
        with_rows = place.ports
        blobs = with_rows.blobs
        with with_rows.database.write():  # nobody else writes while the pieces are changed
            object.__setattr__(with_rows.bell, "_inline", lambda: None)
        intake.accept(with_rows, "bob@example.org", [ANN], picture)
        object.__setattr__(with_rows, "blobs", _FullStore(blobs))
        place.work()
        assert place.jobs("ready", "receive") == 1
        object.__setattr__(with_rows, "blobs", blobs)
        clock.pass_by(seconds=11)
        place.work()
        assert len(box.fetch()) == 1
        assert place.quarantined() == []


def test_a_form_posted_urlencoded_is_the_same(place: Place, box: BoxAtPlace) -> None:
    envelope = json.dumps({"to": [ANN], "from": "bob@example.org"})
    fields = {"email": message(text="50% + 50% & more = all").decode(), "envelope": envelope}
    answer = place.client.post(f"/api/email/sendgrid/{box.webhook}", data=fields)
    assert (answer.status_code, answer.json()) == (200, "received")
    (arrived,) = box.fetch()
    assert "50% + 50% &amp; more = all" in arrived.email.body


@pytest.mark.parametrize("way", ["smtp", "webhook"])
def test_a_letter_whose_bytes_the_store_has_lost_is_shown_to_the_operator(
    place: Place, box: BoxAtPlace, way: str
) -> None:
    place.ports.bell.work_inline(lambda: None)
    if way == "smtp":
        intake.accept(place.ports, "bob@example.org", [ANN], message())
    else:
        assert place.webhook(box.webhook, message(), [ANN]).status_code == 200
    (key,) = [key for key in place.ports.blobs.list() if "/raw/" in key]
    place.ports.blobs.delete(key)
    place.work()
    (apart,) = place.quarantined()
    assert (apart.kind, apart.reason, apart.raw_ref) == ("mime", "given up: NotFound", key)
    assert place.jobs("dead", "receive") == 1


class _Meanwhile(MemoryBlobStore):
    """Something else happens once, when the first blob is written."""

    def __init__(self, meanwhile: Callable[[], None]) -> None:
        super().__init__()
        self._meanwhile = [meanwhile]

    def put(self, key: str, content: bytes | Iterable[bytes]) -> bool:
        while self._meanwhile:
            self._meanwhile.pop()()
        return super().put(key, content)


def test_a_letter_for_a_domain_that_goes_while_it_comes_is_not_taken(place: Place, box: BoxAtPlace) -> None:
    operator = Caller(OPERATOR[0], may_override=True)
    store = _Meanwhile(lambda: devices.delete(place.ports, operator, "a.lokole.test"))
    ports = replace(place.ports, blobs=store)
    with pytest.raises(Temporary):
        intake.accept_all(ports, "bob@example.org", [ANN], message())
    assert strangers.decide(place.ports, "bob@example.org", ANN) is Verdict.NO_DOMAIN, "what the sender hears next"


def test_a_post_for_a_domain_that_goes_while_it_comes_is_not_taken(place: Place, box: BoxAtPlace) -> None:
    operator = Caller(OPERATOR[0], may_override=True)
    row = place.row("a.lokole.test")
    store = _Meanwhile(lambda: devices.delete(place.ports, operator, "a.lokole.test"))
    form = urlencode({"email": message(), "envelope": json.dumps({"to": [ANN], "from": "bob@example.org"})})
    with pytest.raises(Temporary):
        intake.take_form(replace(place.ports, blobs=store), row, io.BytesIO(form.encode()), URLENCODED)
    assert list(store.list()) == [], "nobody would ever remove it"
    assert place.webhook(box.webhook, message(), [ANN]).status_code == 403, "what the provider hears next"


def test_when_one_domain_of_an_envelope_has_gone_the_sender_comes_again(place: Place, box: BoxAtPlace) -> None:
    place.box("b.lokole.test", ["zoe"])
    devices.delete(place.ports, Caller(OPERATOR[0], may_override=True), "b.lokole.test")
    for _ in range(2):
        with pytest.raises(Temporary):
            intake.accept_all(place.ports, "bob@example.org", [ANN, "zoe@b.lokole.test"], message())
    intake.accept_all(place.ports, "bob@example.org", [ANN], message())
    assert len(box.fetch()) == 1
