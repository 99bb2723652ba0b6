"""Our own SMTP edge, asked as a listener asks it, and over a real line: what is put off comes again, what is doubtful stands apart."""

from __future__ import annotations

import smtplib
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from lokole.adapters.intake.smtp import Peer
from lokole.config import Url
from lokole.mail.model import Contact, Email
from lokole.mailbox import greylist
from lokole.server.doctor import examine
from lokole.server.edge import MOST_HOPS, Edge, hops
from lokole.server.prometheus import write_metrics
from lokole.server.sweep import Sweeper
from lokole.sync.records import EmailRecord
from tests.fakes.rspamd import FakeRspamd
from tests.fakes.web_server import HANG_UP, NONSENSE, Said
from tests.unit.server.place import OPERATOR, Place, message, place_in

ANN, BOB = "ann@a.lokole.test", "bob@example.org"
OUTSIDE = Peer("192.0.2.7", "mail.example.org")


def counted(place: Place, event: str) -> int:
    (line,) = [
        one
        for one in write_metrics(place.ports).decode().splitlines()
        if one.startswith("lokole_events_total") and f'"{event}"' in one
    ]
    return int(float(line.rpartition(" ")[2]))


@pytest.fixture
def greylisting(tmp_path: Path) -> Iterator[Place]:
    with place_in(tmp_path, greylist=timedelta(minutes=5)) as place:
        place.box("a.lokole.test", ["ann", "carl"])
        yield place


def codes(edge: Edge, *recipients: str, sender: str = BOB, peer: Peer = OUTSIDE) -> list[int]:
    return [edge.decide(peer, sender, one).code for one in recipients]


# --- greylisting ---------------------------------------------------------------------------------


def test_somebody_unknown_is_put_off_once_and_known_from_then_on(greylisting: Place) -> None:
    edge = Edge(greylisting.ports)
    assert codes(edge, ANN) == [451]
    greylisting.clock.pass_by(minutes=4)
    assert codes(edge, ANN) == [451]
    greylisting.clock.pass_by(minutes=1)
    assert codes(edge, ANN, "carl@a.lokole.test") == [250, 451]
    greylisting.clock.pass_by(days=20)
    assert codes(edge, ANN) == [250]
    greylisting.clock.pass_by(days=20)
    Sweeper(greylisting.ports).sweep()
    assert codes(edge, ANN, "carl@a.lokole.test") == [250, 451]
    assert counted(greylisting, "letter_greylisted") == 4


def test_a_sender_of_many_machines_is_known_by_their_network(greylisting: Place) -> None:
    edge = Edge(greylisting.ports)
    assert codes(edge, ANN) == [451]
    greylisting.clock.pass_by(minutes=5)
    assert codes(edge, ANN, peer=Peer("192.0.3.7")) == [451]
    assert codes(edge, ANN, peer=Peer("192.0.2.200")) == [250]
    assert codes(edge, ANN, sender="eve@example.org") == [451]


def test_a_restart_asks_nobody_twice(tmp_path: Path) -> None:
    with place_in(tmp_path, greylist=timedelta(minutes=5)) as place:
        place.box("a.lokole.test", ["ann"])
        assert codes(Edge(place.ports), ANN) == [451]
        clock = place.clock
    clock.pass_by(minutes=5)
    with place_in(tmp_path, clock=clock, greylist=timedelta(minutes=5)) as place:
        assert codes(Edge(place.ports), ANN) == [250]


def test_whom_somebody_here_has_written_to_may_answer_at_once(tmp_path: Path) -> None:
    with place_in(tmp_path, greylist=timedelta(minutes=5)) as place:
        box = place.box("a.lokole.test", ["ann"])
        letter = Email(sender=Contact(ANN), to=(Contact("Bob@Example.org"),), subject="x")
        box.put([EmailRecord("u1", letter)])
        place.work()
        edge = Edge(place.ports)
        assert codes(edge, ANN, sender="Bob@example.org") == [250]
        assert codes(edge, ANN, sender="eve@example.org") == [451]
        (sent,) = place.world.sent
        # what comes back from a mail server on the way, and from nobody
        assert codes(edge, sent.sender, sender="") == [250]
        assert codes(edge, "postmaster@a.lokole.test") == [250]
        assert codes(edge, ANN, sender="") == [451]


def test_mail_servers_of_ones_own_are_not_put_off_and_strangers_are_asked_first(greylisting: Place) -> None:
    edge = Edge(greylisting.ports)
    assert codes(edge, ANN, peer=Peer("127.0.0.1")) == [250]
    assert codes(edge, "nobody@b.lokole.test", "nobody@a.lokole.test", "nonsense") == [550, 450, 553]
    assert counted(greylisting, "letter_greylisted") == 0


def test_without_the_setting_nobody_is_put_off(place: Place) -> None:
    place.box("a.lokole.test", ["ann"])
    assert codes(Edge(place.ports), ANN) == [250]


def test_a_clock_that_ran_ahead_keeps_nobody_waiting_for_years(greylisting: Place) -> None:
    edge = Edge(greylisting.ports)
    greylisting.clock.pass_by(days=4000)
    assert codes(edge, ANN) == [451]
    greylisting.clock.pass_by(days=-4000)
    assert codes(edge, ANN) == [451]
    greylisting.clock.pass_by(minutes=5)
    assert codes(edge, ANN) == [250]


def test_what_is_remembered_has_an_end(greylisting: Place) -> None:
    edge = Edge(greylisting.ports)
    for n in range(20):
        greylisting.clock.pass_by(seconds=1)
        codes(edge, ANN, sender=f"eve{n}@example.org")
    with greylisting.ports.database.write() as tx:
        assert greylist.forget_old(tx, greylisting.clock(), most=5) == 15
    greylisting.clock.pass_by(days=3)
    with greylisting.ports.database.write() as tx:
        assert greylist.forget_old(tx, greylisting.clock()) == 5


# --- limits --------------------------------------------------------------------------------------


def test_over_a_real_line_the_fast_one_is_asked_to_come_again_and_the_others_are_served(tmp_path: Path) -> None:
    settings: dict[str, Any] = {
        "smtp_listen": "127.0.0.1:0",
        "smtp_exempt": ("127.0.0.9/32",),
        "smtp_connections_a_minute": 3,
        "smtp_recipients_a_minute": 4,
        "smtp_max_recipients": 3,
    }
    with place_in(tmp_path, **settings) as place:
        box = place.box("a.lokole.test", ["ann", "carl", "dora"])
        assert place.server.smtp is not None
        port = place.server.smtp.port

        def call(address: str) -> smtplib.SMTP:
            return smtplib.SMTP("127.0.0.1", port, timeout=10, source_address=(address, 0))

        with call("127.0.0.2") as line:
            line.helo()
            line.mail(BOB)
            everybody = [f"{name}@a.lokole.test" for name in ("ann", "carl", "dora", "postmaster")]
            assert [line.rcpt(one)[0] for one in everybody] == [250, 250, 250, 452]
            assert line.data(message(subject="one"))[0] == 250
            assert line.sendmail(BOB, everybody[:1], message(subject="two")) == {}
            line.mail(BOB)
            assert line.rcpt(ANN) == (451, b"4.7.1 too many recipients from your address, come again in a minute")
        for _ in range(2):
            call("127.0.0.2").quit()
        with pytest.raises(smtplib.SMTPConnectError) as turned_away:
            call("127.0.0.2")
        assert turned_away.value.smtp_code == 421
        for _ in range(5):
            with call("127.0.0.9") as line:
                line.sendmail(BOB, everybody[:3], message(subject="of ours"))
        place.clock.pass_by(minutes=1)
        with call("127.0.0.2") as line:
            line.sendmail(BOB, [ANN], message(subject="three"))
        assert sorted({one.email.subject for one in box.fetch()}) == ["of ours", "one", "three", "two"]
        assert [counted(place, name) for name in ("connection_put_off", "recipient_too_fast")] == [1, 1]
        (told,) = place.quarantined()
        assert told.kind == "provider" and "LOKOLE_SMTP_EXEMPT" in told.reason


def test_a_letter_that_goes_in_a_circle_is_refused_and_one_that_came_a_long_way_is_not(place: Place) -> None:
    place.box("a.lokole.test", ["ann"])
    edge = Edge(place.ports)
    hop = b"Received: from x by y\r\n"
    quoted = message(text="\r\n".join(["Received: from x by y"] * 500))
    assert hops(hop * 3 + b"received : from z\r\n" + quoted) == 4
    assert edge.accept(OUTSIDE, BOB, (ANN,), hop * MOST_HOPS + quoted).code == 250
    assert edge.accept(OUTSIDE, BOB, (ANN,), hop * (MOST_HOPS + 1) + quoted).code == 554
    assert edge.accept(OUTSIDE, BOB, (ANN,), hop * 200_000).code == 554
    assert place.pending("a.lokole.test") == 1
    assert counted(place, "letter_in_circle") == 2


# --- verdicts ------------------------------------------------------------------------------------


@pytest.fixture
def rspamd() -> Iterator[FakeRspamd]:
    with FakeRspamd() as found:
        yield found


@pytest.fixture
def judged(tmp_path: Path, rspamd: FakeRspamd) -> Iterator[Place]:
    with place_in(tmp_path, rspamd=Url(rspamd.url)) as place:
        yield place


def test_rspamd_proves_senders_and_sets_junk_apart_and_a_person_lets_it_through(
    judged: Place, rspamd: FakeRspamd
) -> None:
    box = judged.box("a.lokole.test", ["ann"])
    edge = Edge(judged.ports)
    rspamd.allowed["example.org"] = {OUTSIDE.address}
    rspamd.scores = {b"pills": 7.5, b"virus": 100.0}
    for text in ("hello", "pills", "virus"):
        assert edge.accept(OUTSIDE, BOB, (ANN,), message(subject=text, text=text)).code == 250
    forged = message(subject="forged")
    assert edge.accept(Peer("203.0.113.1"), BOB, (ANN,), forged).code == 250
    assert [(one.email.subject, one.proven) for one in box.fetch()] == [("hello", True), ("forged", False)]
    path = "/api/email/register/a.lokole.test/junk"
    listed = judged.client.get(path, auth=OPERATOR).json()["junk"]
    assert [one["reason"] for one in listed] == ["a filter gave it 99.3 points", "a filter gave it 6.8 points"]
    assert judged.client.post(f"{path}?number={listed[1]['number']}", auth=OPERATOR).status_code == 200
    judged.work()
    assert [(one.email.subject, one.proven) for one in box.fetch()] == [("pills", True)]


def test_the_board_takes_news_from_whom_rspamd_has_proven(judged: Place, rspamd: FakeRspamd) -> None:
    box = judged.box("a.lokole.test", ["ann"])
    edge = Edge(judged.ports)
    rspamd.signed = {"example.org"}
    news = "news@a.lokole.test"
    assert codes(edge, news) == [250]
    signature = b"DKIM-Signature: v=1; d=example.org; s=mail\r\n"
    edge.accept(OUTSIDE, "bounces@esp.example", (news,), signature + message(to=news))
    edge.accept(OUTSIDE, BOB, (news,), message(to=news, subject="forged"))
    assert [(one.email.subject, one.proven) for one in box.fetch()] == [("hello", True)]


def test_a_letter_that_rspamd_wants_later_comes_again_and_is_taken(judged: Place, rspamd: FakeRspamd) -> None:
    box = judged.box("a.lokole.test", ["ann"])
    edge = Edge(judged.ports)
    rspamd.soft_reject = {BOB}
    assert [edge.accept(OUTSIDE, BOB, (ANN,), message()).code for _ in range(2)] == [451, 250]
    rspamd.action = "greylist"
    assert edge.accept(OUTSIDE, BOB, (ANN,), message(subject="two")).code == 451
    judged.clock.pass_by(minutes=5)
    assert edge.accept(OUTSIDE, BOB, (ANN,), message(subject="two")).code == 250
    assert [one.email.subject for one in box.fetch()] == ["hello", "two"]
    assert [counted(judged, one) for one in ("letter_put_off", "letter_greylisted")] == [1, 1]


def test_without_a_verdict_a_letter_is_taken_counted_and_the_operator_hears_of_it_once_a_day(
    judged: Place, rspamd: FakeRspamd
) -> None:
    box = judged.box("a.lokole.test", ["ann"])
    edge = Edge(judged.ports)
    rspamd.scores = {b"pills": 7.5}
    rspamd.troubles = [HANG_UP, HANG_UP, NONSENSE, Said(403, {"error": "x"}), Said(500)]
    for n in range(5):
        assert edge.accept(OUTSIDE, BOB, (ANN,), message(subject=f"{n}", text="pills")).code == 250
    assert sorted((one.email.subject, one.proven) for one in box.fetch()) == [(f"{n}", False) for n in range(5)]
    assert counted(judged, "letter_unjudged") == 5
    told = [one.reason for one in judged.quarantined()]
    assert len(told) == 4 and all("bob" not in one for one in told)
    assert any("normal worker" in one for one in told)


def test_whether_rspamd_answers_is_looked_at_by_the_doctor(judged: Place, rspamd: FakeRspamd) -> None:
    def verdicts() -> list[str]:
        return [one.state for one in examine(judged.ports) if one.name == "verdicts"]

    assert verdicts() == ["good"]
    rspamd.troubles = [HANG_UP]
    assert verdicts() == ["bad"]
