"""Letters to services: answered here, once, and for people of boxes only."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from lokole.mail.errors import Permanent, Temporary
from lokole.mail.model import Address, Attachment, Contact, DeliveryState, Email
from lokole.mailbox import jobs
from lokole.mailbox.jobs import Job
from lokole.mailbox.letters import read_email
from lokole.mailbox.recipients import deliveries
from lokole.mailbox.seen import find_by_uid
from lokole.ports.service import Answer, Question
from lokole.server import answering, intake, outside_services, strangers, unpack
from lokole.sync.records import AccountRecord, EmailRecord, ReceiptRecord
from tests.unit.server.place import BoxAtPlace, Place, message

ECHO = "echo@bot.lokole.ca"
SETTINGS = {"bots": ("help", "echo"), "bots_per_day": 3}


class Oracle:
    """A service whose troubles and answers a test chooses; it keeps what it was asked."""

    def __init__(self) -> None:
        self.troubles: list[Exception] = []
        self.asked: list[Question] = []
        self.valid_for: timedelta | None = None
        self.attachments: tuple[Attachment, ...] = ()

    def about(self, language: str) -> str:
        return "Knows everything."

    def shared_key(self, question: Question) -> str | None:
        return question.letter.subject if self.valid_for else None

    def answer(self, question: Question) -> Answer | None:
        self.asked.append(question)
        if self.troubles:
            raise self.troubles.pop(0)
        body = f"<p>42, for {question.letter.subject}</p><script>x</script>"
        return Answer("The answer", body, self.attachments, self.valid_for)


@pytest.fixture
def box(place: Place) -> BoxAtPlace:
    return place.box("a.lokole.test", ["ann", "carl"])


@pytest.fixture
def oracle(place: Place) -> Oracle:
    made = Oracle()
    assert isinstance(place.ports.services, dict)
    place.ports.services["oracle"] = made
    return made


def to(
    address: str, uid: str = "a" * 32, writer: str = "ann", domain: str = "a.lokole.test", **more: object
) -> EmailRecord:
    fields: dict[str, object] = {
        "sender": Contact(f"{writer}@{domain}", "Ann"),
        "to": (Contact(address),),
        "subject": "the well",
        "body": "<p>Is it <b>repaired</b>?</p><p>--</p><p>Ann</p>",
        "message_id": f"<{uid[:8]}@{domain}>",
    }
    return EmailRecord(uid, Email(**(fields | more)))  # type: ignore[arg-type]


def state(place: Place, address: str = ECHO, uid: str = "a" * 32) -> tuple[DeliveryState, str]:
    row = place.row("a.lokole.test")
    with place.ports.database.read() as tx:
        no = find_by_uid(tx, row.no, uid)
        assert no is not None
        return {one.address: (one.state, one.reason) for one in deliveries(tx, row.no, no)}[address]


def test_a_letter_to_echo_comes_back_in_the_next_package_and_never_leaves(place: Place, box: BoxAtPlace) -> None:
    box.put([to(ECHO)])
    assert place.world.attempts == []
    assert state(place) == (DeliveryState.ACCEPTED, "")
    (answer,) = box.fetch()
    email = answer.email
    assert (email.sender.address, email.subject) == (ECHO, "the well")
    assert "<b>repaired</b>" in email.body
    assert [str(one) for one in email.recipients] == ["ann@a.lokole.test"]
    assert email.automatic  # nobody's box answers it by itself
    assert email.in_reply_to == "<aaaaaaaa@a.lokole.test>"
    assert answer.posted is None
    assert box.fetch() == []


def test_who_wrote_is_told_that_the_letter_arrived(place: Place, box: BoxAtPlace) -> None:
    box.put([to(ECHO)])
    records = [record for offered in box.offers() for record in box.get(offered)]
    (receipt,) = [record for record in records if isinstance(record, ReceiptRecord)]
    assert (receipt.address, receipt.state) == (ECHO, DeliveryState.ACCEPTED)


def test_the_same_letter_again_in_any_package_is_answered_once(place: Place, box: BoxAtPlace) -> None:
    box.put([to(ECHO)])
    box.put([to(ECHO), to(ECHO, "b" * 32)])
    box.put([to(ECHO, "b" * 32), to(ECHO)])
    assert len(box.fetch()) == 2


class Killed(BaseException):
    """The machine goes off."""


def test_a_worker_that_dies_before_or_while_the_answer_is_stored_leaves_one_answer(
    place: Place, box: BoxAtPlace, oracle: Oracle
) -> None:
    place.ports.bell.work_inline(lambda: None)
    box.put([to("oracle@bot.lokole.ca")])
    assert unpack.run(place.ports, lease(place, "unpack"))

    for deadly in (1, 2):  # before the transaction, and within it, when the letter is marked as answered
        moments = itertools.count(1)

        def clock(last: int = deadly, moments: Iterator[int] = moments) -> datetime:
            if next(moments) == last:
                raise Killed
            return place.clock()

        with pytest.raises(Killed):
            answering.run(replace(place.ports, clock=clock), lease(place, answering.KIND))
        assert state(place, "oracle@bot.lokole.ca")[0] is DeliveryState.AT_SERVER
        place.clock.pass_by(minutes=6)  # the lease runs out
    job = lease(place, answering.KIND)
    assert answering.run(place.ports, job)
    assert not answering.run(place.ports, job)  # told once more by a queue that repeats
    answering.given_up(place.ports, job, Temporary("away"))
    assert place.work() == 0
    (answer,) = box.fetch()
    row = place.row("a.lokole.test")
    with place.ports.database.read() as tx:
        no = find_by_uid(tx, row.no, "a" * 32)
        assert no is not None
        stored = read_email(tx, row.no, no)
    assert answer.uid == answering.answer_id(stored.id, Address("oracle", "bot.lokole.ca")).hex()
    assert box.fetch() == []


def lease(place: Place, kind: str) -> Job:
    """The next piece of work of this kind, in the hand of a worker."""
    with place.ports.database.write() as tx:
        job = jobs.lease(tx, now=place.clock(), lease_seconds=300, entropy=place.ports.entropy, kinds=[kind])
    assert job is not None
    return job


def test_an_answer_that_fails_for_a_while_comes_later_and_after_hours_a_plain_sentence(
    place: Place, box: BoxAtPlace, oracle: Oracle
) -> None:
    oracle.troubles = [Temporary("slow")] * 2
    box.put([to("oracle@bot.lokole.ca")])
    assert box.fetch() == []
    place.clock.pass_by(minutes=10)
    place.work()
    place.clock.pass_by(minutes=10)
    place.work()
    assert "42" in box.fetch()[0].email.body

    oracle.troubles = [Temporary("down")] * 1000
    box.put([AccountRecord("ann@a.lokole.test", language="fr", version=2), to("oracle@bot.lokole.ca", "b" * 32)])
    for _ in range(20):
        place.clock.pass_by(minutes=30)
        place.work()
    (sorry,) = box.fetch()
    assert sorry.email.subject == "Pas de réponse de « oracle »"
    assert "un autre jour" in sorry.email.body
    assert place.jobs("dead", answering.KIND) == 1
    assert len(oracle.asked) < 20


@pytest.mark.parametrize("trouble", [Permanent("no such host"), ValueError("a fault of the service")])
def test_a_service_that_is_broken_is_said_to_be(
    place: Place, box: BoxAtPlace, oracle: Oracle, trouble: Exception
) -> None:
    oracle.troubles = [trouble] * 10
    box.put([to("oracle@bot.lokole.ca")])
    for _ in range(6):
        place.clock.pass_by(hours=2)
        place.work()
    (sorry,) = box.fetch()
    assert "could not be reached" in sorry.email.body


def test_nobody_is_answered_more_often_than_a_day_allows_and_is_told_once(place: Place, box: BoxAtPlace) -> None:
    box.put([to(ECHO, f"{n:032x}") for n in range(6)])
    answers = box.fetch()
    assert [one.email.subject for one in answers] == ["the well"] * 3 + ["That is enough for today"]
    box.put([to(ECHO, "c" * 32, "carl")])  # another person is not kept from it
    assert len(box.fetch()) == 1
    place.clock.pass_by(days=1, hours=1)
    box.put([to(ECHO, "d" * 32)])
    assert box.fetch()[0].email.subject == "the well"


def test_a_machine_is_not_answered(place: Place, box: BoxAtPlace) -> None:
    box.put_sealed([to(ECHO, automatic=True)])
    assert state(place) == (DeliveryState.ACCEPTED, "")
    assert box.fetch() == []


def test_an_answer_to_an_answer_is_no_loop(place: Place, box: BoxAtPlace) -> None:
    box.put([to(ECHO)])
    (answer,) = box.fetch()
    # a box may send it back only as its own people, and says then that a machine wrote it
    box.put_sealed([to(ECHO, "e" * 32, subject=answer.email.subject, automatic=True)])
    assert box.fetch() == []


def test_somebody_whom_the_server_does_not_know_is_not_answered(place: Place, box: BoxAtPlace) -> None:
    box.put([to(ECHO, writer="ghost"), to(ECHO, "b" * 32, writer="postmaster")])
    assert box.fetch() == []
    assert place.world.attempts == []


def test_a_service_that_there_is_not_is_refused_like_any_wrong_name(place: Place, box: BoxAtPlace) -> None:
    box.put([to("nothing@bot.lokole.ca")])
    assert state(place, "nothing@bot.lokole.ca") == (DeliveryState.REFUSED, "nobody")
    assert place.world.attempts == []


def test_a_letter_to_a_service_and_to_people_goes_both_ways(place: Place, box: BoxAtPlace) -> None:
    letter = to(ECHO)
    people = (Contact("bob@example.org"), Contact("Help@BOT.lokole.ca"))
    box.put([EmailRecord(letter.uid, Email(letter.email.sender, (*letter.email.to, *people), subject="hello"))])
    assert [one.recipient for one in place.world.sent] == ["bob@example.org"]
    assert sorted(one.email.sender.address for one in box.fetch()) == [ECHO, "help@bot.lokole.ca"]


def test_mail_from_outside_never_reaches_a_service(place: Place, box: BoxAtPlace) -> None:
    assert strangers.decide(place.ports, "eve@example.org", ECHO) is strangers.Verdict.NO_DOMAIN
    assert intake.accept(place.ports, "eve@example.org", [ECHO], message(to=ECHO)) == 0
    secret = place.register("b.lokole.test")["webhook"]
    place.webhook(secret, message(to=ECHO), [ECHO], sender="ann@a.lokole.test")
    place.work()
    assert place.world.attempts == []
    assert box.fetch() == []
    assert place.jobs("done", answering.KIND) == 0


def test_another_boxs_name_in_from_gets_no_answer_anywhere(place: Place, box: BoxAtPlace) -> None:
    other = place.box("b.lokole.test", ["ben"])
    other.put([to(ECHO)])  # says that it is from ann@a.lokole.test
    assert box.fetch() == other.fetch() == []


def test_files_of_an_answer_travel_as_far_as_there_is_room(place: Place, box: BoxAtPlace, oracle: Oracle) -> None:
    oracle.attachments = (Attachment("a.pdf", b"%PDF", "application/pdf"), Attachment("b.bin", bytes(1_000_001)))
    box.put([to("oracle@bot.lokole.ca")])
    (answer,) = box.fetch()
    assert [one.filename for one in answer.email.attachments] == ["a.pdf"]
    assert "too large" in answer.email.body
    assert "script" not in answer.email.body


def test_what_a_service_is_asked_is_what_was_written(place: Place, box: BoxAtPlace, oracle: Oracle) -> None:
    box.put([AccountRecord("ann@a.lokole.test", language="sw", version=2)])
    body = "<p>Je, imetengenezwa?</p><blockquote>old words</blockquote><p>--</p><p>Ann</p>"
    box.put([to("oracle@bot.lokole.ca", body=body, attachments=(Attachment("p.jpg", b"x"),))])
    (question,) = oracle.asked
    assert (question.text, question.language, question.files) == ("Je, imetengenezwa?", "sw", ("p.jpg",))


# --- answers for everybody -----------------------------------------------------------------------


def test_the_first_answer_hangs_on_the_board_and_says_nothing_of_who_asked(
    place: Place, box: BoxAtPlace, oracle: Oracle
) -> None:
    oracle.valid_for = timedelta(hours=24)
    box.put([to("oracle@bot.lokole.ca")])
    (answer,) = box.fetch()
    assert answer.posted == place.clock() + timedelta(hours=24)
    assert sorted(str(one) for one in answer.email.recipients) == ["ann@a.lokole.test", "news@a.lokole.test"]
    assert [one.address for one in answer.email.to] == ["news@a.lokole.test"]
    assert "ann" not in f"{answer.email.subject}{answer.email.in_reply_to}{answer.email.references}{answer.email.body}"


def test_who_asks_the_same_is_told_where_it_hangs_and_nothing_is_fetched(
    place: Place, box: BoxAtPlace, oracle: Oracle
) -> None:
    oracle.valid_for = timedelta(hours=24)
    box.put([to("oracle@bot.lokole.ca")])
    box.fetch()
    place.clock.pass_by(hours=23)
    box.put([to("oracle@bot.lokole.ca", "b" * 32, "carl")])
    (told,) = box.fetch()
    assert told.email.subject == "On the board: The answer"
    assert "2026-03-02" in told.email.body
    assert told.posted is None
    assert len(oracle.asked) == 1
    # who was told and asks once more has not found it
    box.put([to("oracle@bot.lokole.ca", "c" * 32, "carl")])
    (again,) = box.fetch()
    assert "42" in again.email.body
    assert again.posted is None
    assert [str(one) for one in again.email.recipients] == ["carl@a.lokole.test"]
    assert len(oracle.asked) == 1
    # when its time is over it is asked anew
    place.clock.pass_by(hours=2)
    box.put([to("oracle@bot.lokole.ca", "d" * 32, "carl")])
    (fresh,) = box.fetch()
    assert fresh.posted == place.clock() + timedelta(hours=24)
    assert len(oracle.asked) == 2


def test_every_box_has_a_board_of_its_own(place: Place, box: BoxAtPlace, oracle: Oracle) -> None:
    oracle.valid_for = timedelta(hours=24)
    other = place.box("b.lokole.test", ["ben"])
    box.put([to("oracle@bot.lokole.ca")])
    other.put([to("oracle@bot.lokole.ca", writer="ben", domain="b.lokole.test")])
    assert len(oracle.asked) == 2
    assert box.fetch()[0].posted is not None
    assert other.fetch()[0].posted is not None


def test_two_who_ask_in_one_package_cost_one_answer(place: Place, box: BoxAtPlace, oracle: Oracle) -> None:
    oracle.valid_for = timedelta(hours=24)
    box.put([to("oracle@bot.lokole.ca"), to("oracle@bot.lokole.ca", "b" * 32, "carl")])
    answers = box.fetch()
    assert sorted(one.email.subject for one in answers) == ["On the board: The answer", "The answer"]
    assert len(oracle.asked) == 1


# --- mail from outside ---------------------------------------------------------------------------


def test_what_is_posted_to_services_from_outside_is_kept_apart_and_never_answered(
    place: Place, box: BoxAtPlace
) -> None:
    raw = message(to=ECHO)
    for _ in range(2):
        answer = place.webhook("service", raw, [ECHO], sender="ann@a.lokole.test")
        assert (answer.status_code, answer.json()) == (200, "received")
    place.work()
    (apart,) = place.quarantined()
    assert (apart.tenant, apart.kind) == (None, "dead-letter")
    assert apart.raw_ref is not None
    assert place.ports.blobs.read(apart.raw_ref) == raw
    assert place.world.attempts == []
    assert box.fetch() == []


def test_what_strangers_may_leave_in_a_day_has_an_end_and_nothing_is_lost_by_it(place: Place) -> None:
    for n in range(outside_services.MOST_A_DAY):
        assert place.webhook("service", message(subject=str(n)), [ECHO]).status_code == 200
    assert place.webhook("service", message(), [ECHO]).status_code == 503  # a provider comes again
    assert place.webhook("service", bytes(2 * 2**20), [ECHO]).status_code == 413
    place.clock.pass_by(days=1, minutes=1)
    assert place.webhook("service", message(), [ECHO]).status_code == 200
