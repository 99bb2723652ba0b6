"""Who is believed about a letter: a proven sender reaches the board, junk stands apart, and nothing is lost."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from lokole.adapters.judge.results import ResultsJudge
from lokole.mail.model import Contact, Email
from lokole.ports.judge import Posted
from lokole.server import intake, strangers
from lokole.server.form import InboundForm
from lokole.server.judgement import Judgement, of_form, of_opinion
from lokole.server.strangers import Verdict
from lokole.server.sweep import Sweeper
from lokole.sync.records import EmailRecord
from tests.unit.server.place import NOON, OPERATOR, BoxAtPlace, Place, message, place_in
from tests.unit.server.test_signed_webhook import public_text, signed

ANN, NEWS = "ann@a.lokole.test", "news@a.lokole.test"
US = "mx.lokole.test"


@pytest.fixture
def box(place: Place) -> BoxAtPlace:
    return place.box("a.lokole.test", ["ann"])


def form(sender: str = "bob@example.org", spf: str = "", dkim: str = "", score: str = "") -> InboundForm:
    return InboundForm("", 0, b"", sender, (), spf, dkim, score)


def raw(sender: str = "bob@example.org", extra: str = "") -> bytes:
    return f"{extra}From: {sender}\r\nTo: {ANN}\r\nSubject: x\r\n\r\nhello\r\n".encode()


@pytest.mark.parametrize(
    ("told", "shown", "envelope", "proven"),
    [
        (form(spf="pass"), "bob@example.org", True, True),
        (form(spf="Pass"), "Bob <bob@EXAMPLE.org>", True, True),
        (form(spf="pass"), "bob@example.com", True, False),
        (form(spf="pass"), "bob@sub.example.org", True, True),
        (form("b@sub.example.org", spf="pass"), "bob@example.org", True, False),
        (form(spf="fail", dkim="{@example.org : pass}"), "bob@example.org", True, True),
        (form(dkim="{@lists.example : pass, @example.org : pass}"), "bob@example.org", True, True),
        (form("bounce@esp.example", dkim="{@example.org : pass}"), "bob@example.org", False, True),
        (form(dkim="{@org : pass}"), "bob@example.org", False, False),
        (form(dkim="{@evil-example.org : pass}"), "bob@example.org", False, False),
        (form(dkim="{@example.org : fail}"), "bob@example.org", False, False),
        (form(spf="softfail"), "bob@example.org", False, False),
        (form(""), "bob@example.org", False, False),
        (form("", spf="pass"), "bob@example.org", False, False),
        (form(spf="pass"), "bob@example.org\r\nFrom: eve@example.net", True, False),
        (form(spf="pass"), "bob@example.org, eve@example.net", True, False),
        (form(spf="pass"), "nobody", True, False),
    ],
)
def test_what_sendgrid_found_out(told: InboundForm, shown: str, envelope: bool, proven: bool) -> None:
    judged = of_form(told, raw(shown))
    assert (judged.envelope_proven, judged.proven) == (envelope, proven)
    assert Judgement.from_ids(judged.ids()) == judged


@pytest.mark.parametrize(
    ("score", "found"),
    [("5.3", 5.3), ("-0.1", -0.1), ("12", 12.0), ("", None), ("nan", None), ("1e9", None), ("x", None)],
)
def test_a_score_is_a_number(score: str, found: float | None) -> None:
    assert of_form(form(score=score), raw()).score == found


def of_results(told: bytes) -> Judgement:
    sender = "bob@example.org"
    return of_opinion(ResultsJudge(US).judge(Posted(sender, (ANN,), told)), sender, told)


@pytest.mark.parametrize(
    ("field", "proven"),
    [
        (f"{US}; spf=pass smtp.mailfrom=bob@example.org", True),
        (f"{US} 1; spf=pass (sender is ok) smtp.mailfrom=example.org", True),
        (f"{US}; dkim=pass header.d=example.org header.s=x", True),
        (f"{US}; dkim=pass header.i=@example.org", True),
        (f"{US}; dmarc=pass header.from=example.org", True),
        (f"{US};\r\n\tspf=none;\r\n\tdkim=pass\r\n\theader.d=example.org", True),
        (f"{US}; spf=fail smtp.mailfrom=bob@example.org; dkim=none", False),
        (f"{US}; spf=pass smtp.mailfrom=bob@example.net", False),
        (f"{US}; dkim=pass header.d=example.net", False),
        (f"{US}; dkim=fail (dkim=pass header.d=example.org)", False),
        (f"(x) other.test; dkim=pass header.d=example.org; {US}", False),
        ("other.test; dkim=pass header.d=example.org", False),
        (f"{US}.evil.test; dkim=pass header.d=example.org", False),
        ("", False),
    ],
)
def test_results_are_believed_of_the_one_server_in_the_settings(field: str, proven: bool) -> None:
    told = raw(extra=f"Authentication-Results: {field}\r\nReceived: from x by {US}\r\n")
    assert of_results(told).proven is proven


def test_results_from_before_the_last_hop_are_anybodys() -> None:
    forged = f"Authentication-Results: {US}; dkim=pass header.d=example.org\r\n"
    hop = "Received: from x by y\r\n"
    assert of_results(raw(extra=hop + forged)).proven
    assert not of_results(raw(extra=hop + hop + forged)).proven


def records(box: BoxAtPlace) -> list[EmailRecord]:
    return box.fetch()


def test_a_proven_letter_to_the_board_travels_with_its_mark_and_another_one_not(place: Place, box: BoxAtPlace) -> None:
    place.webhook(box.webhook, message(to=NEWS), [NEWS], SPF="pass")
    (one,) = records(box)
    assert one.proven
    assert [str(to) for to in one.email.recipients] == [NEWS]
    place.webhook(box.webhook, message(to=NEWS, subject="two"), [NEWS], SPF="fail")
    assert place.jobs("ready", "stranger") == 1
    assert records(box) == []
    place.webhook(box.webhook, message(to=ANN, subject="three"), [ANN], SPF="pass")
    place.webhook(box.webhook, message(to=ANN, subject="four"), [ANN])
    assert [(one.email.subject, one.proven) for one in records(box)] == [("three", True), ("four", False)]


def test_a_letter_of_another_box_is_proven_by_its_key(place: Place, box: BoxAtPlace) -> None:
    other = place.box("b.lokole.test", ["dora"])
    email = Email(sender=Contact("dora@b.lokole.test"), to=(Contact(ANN),), subject="x")
    other.put([EmailRecord("u1", email)])
    assert [one.proven for one in records(box)] == [True]


def test_over_smtp_the_board_is_open_only_where_somebody_checks(tmp_path: Path, place: Place, box: BoxAtPlace) -> None:
    assert strangers.decide(place.ports, "bob@example.org", NEWS) is Verdict.LATER
    with place_in(tmp_path / "other", authserv_id=US) as checked:
        there = checked.box("a.lokole.test", ["ann"])
        assert strangers.decide(checked.ports, "bob@example.org", NEWS) is Verdict.HERE
        proven = f"Authentication-Results: {US}; spf=pass smtp.mailfrom=bob@example.org\r\n".encode()
        intake.accept(checked.ports, "bob@example.org", [NEWS], proven + message(to=NEWS))
        intake.accept(checked.ports, "bob@example.org", [NEWS], message(to=NEWS, subject="forged"))
        checked.work()
        assert [(one.email.subject, one.proven) for one in records(there)] == [("hello", True)]


def test_junk_stands_apart_is_not_carried_and_can_be_let_through(tmp_path: Path) -> None:
    with place_in(tmp_path, junk_score=5.0) as place:
        box = place.box("a.lokole.test", ["ann"])
        path = "/api/email/register/a.lokole.test/junk"
        for subject, score in (("good", "4.9"), ("bad", "5"), ("worse", "11.25"), ("unknown", "")):
            answer = place.webhook(box.webhook, message(subject=subject), [ANN], spam_score=score, SPF="pass")
            assert answer.status_code == 200
        assert [one.email.subject for one in records(box)] == ["good", "unknown"]
        listed = place.client.get(path, auth=OPERATOR).json()["junk"]
        assert [(one["sender"], one["reason"]) for one in listed] == [
            ("bob@example.org", "a filter gave it 11.25 points"),
            ("bob@example.org", "a filter gave it 5 points"),
        ]
        number = listed[1]["number"]
        for _ in range(2):
            assert place.client.post(f"{path}?number={number}", auth=OPERATOR).json() == "taken in"
        place.work()
        assert [(one.email.subject, one.proven) for one in records(box)] == [("bad", True)]
        assert place.client.post(f"{path}?number={number + 1000}", auth=OPERATOR).status_code == 404
        assert len(place.client.get(path, auth=OPERATOR).json()["junk"]) == 1


def test_junk_that_nobody_wanted_goes_after_the_retention_and_other_letters_stay(tmp_path: Path) -> None:
    with place_in(tmp_path, junk_score=5.0, retention=timedelta(days=30)) as place:
        box = place.box("a.lokole.test", ["ann"])
        place.webhook(box.webhook, message(subject="bad"), [ANN], spam_score="9")
        place.webhook(box.webhook, message(subject="good"), [ANN], spam_score="1")
        blobs = set(place.ports.blobs.list("a.lokole.test/"))
        Sweeper(place.ports).sweep()
        assert set(place.ports.blobs.list("a.lokole.test/")) == blobs
        place.clock.pass_by(days=31)
        Sweeper(place.ports).sweep()
        left = list(place.ports.blobs.list("a.lokole.test/"))
        assert [one for one in left if "/junk/" in one] == []
        assert sum("/raw/" in one for one in left) == 1  # the good letter waits for its box, however long
        assert place.quarantined() == []


def test_without_a_score_in_the_settings_nothing_is_junk(place: Place, box: BoxAtPlace) -> None:
    place.webhook(box.webhook, message(), [ANN], spam_score="99")
    assert len(records(box)) == 1


def test_with_a_key_only_signed_posts_are_taken_and_the_others_may_come_again(tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    with place_in(tmp_path, sendgrid_parse_key=public_text(key)) as place:
        box = place.box("a.lokole.test", ["ann"])
        # SendGrid drops what is answered with 4xx: a wrong setting must not lose a letter
        assert place.webhook(box.webhook, message(), [ANN]).status_code == 503
        assert [one.kind for one in place.quarantined()] == ["provider"]
        assert place.webhook("nobody", message(), [ANN]).status_code == 403
        body = b'--x\r\nContent-Disposition: form-data; name="email"\r\n\r\n' + message() + b"\r\n--x--\r\n"
        headers = {"Content-Type": "multipart/form-data; boundary=x"}
        path = f"/api/email/sendgrid/{box.webhook}"
        other = ec.generate_private_key(ec.SECP256R1())
        for wrong in (
            signed(other, body, NOON),
            signed(key, body + b" ", NOON),
            signed(key, body, NOON - timedelta(9)),
        ):
            assert place.client.post(path, content=body, headers=headers | wrong).status_code == 503
        assert records(box) == []
        right = signed(key, body, NOON)
        assert place.client.post(path, content=body, headers=headers | right).status_code == 200
        assert len(records(box)) == 1


def test_a_domain_that_is_just_being_made_asks_to_come_again(place: Place) -> None:
    place.ports.bell.work_inline(lambda: None)
    assert place.client.post("/api/email/register/", json={"domain": "n.lokole.test"}, auth=OPERATOR).status_code == 201
    secret = place.row("n.lokole.test").webhook_secret
    assert place.webhook(secret, message(), ["x@n.lokole.test"]).status_code == 503


def test_a_file_is_taken_like_a_field_and_a_message_taken_apart_comes_again(place: Place, box: BoxAtPlace) -> None:
    path = f"/api/email/sendgrid/{box.webhook}"
    envelope = (None, b'{"to": ["ann@a.lokole.test"], "from": "bob@example.org"}')
    as_file: dict[str, Any] = {"email": ("m.eml", message(), "message/rfc822"), "envelope": envelope}
    assert place.client.post(path, files=as_file).status_code == 200
    assert len(records(box)) == 1
    apart: dict[str, Any] = {"text": (None, b"hello"), "from": (None, b"bob@example.org"), "envelope": envelope}
    assert place.client.post(path, files=apart).status_code == 503
    (told,) = place.quarantined()
    assert told.kind == "provider" and "raw" in told.reason
    assert len(list(place.ports.blobs.list("a.lokole.test/raw/"))) == 1
