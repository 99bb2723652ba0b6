"""The SMTP listener: what it answers, and that no sender can make two letters of one."""

from __future__ import annotations

import json
import smtplib
import socket
from collections.abc import Iterator

import pytest

from lokole.adapters.intake.smtp import MAX_RECIPIENTS, OK, Reply, SmtpIntake
from lokole.mail.errors import Temporary
from lokole.testing import shared_dir

KNOWN = "ann@a.lokole.test"
HEAD = b"From: bob@example.org\r\nTo: ann@a.lokole.test\r\nSubject: x\r\n\r\n"

#: End-of-data sequences with which one server was made to see a letter inside another; more of them in ../shared.
OUR_SEQUENCES = ["\n.\n", "\n.\r\n", "\r.\r\n", "\r\n\x00.\r\n", "\r.\r"]


class Taken:
    """Decides by name, and keeps what it accepts."""

    def __init__(self) -> None:
        self.letters: list[tuple[str, tuple[str, ...], bytes]] = []
        self.trouble: Exception | None = None

    def decide(self, sender: str, recipient: str) -> Reply:
        if recipient.startswith("trouble"):
            raise Temporary("no database")
        if recipient.startswith("fault"):
            raise ValueError("ann@a.lokole.test is somebody")
        return {"ann": OK, "later": Reply(450, "4.2.1", "later")}.get(
            recipient.partition("@")[0].rstrip("0123456789"), Reply(550, "5.1.1", "nobody")
        )

    def accept(self, sender: str, recipients: tuple[str, ...], raw: bytes) -> Reply:
        if self.trouble is not None:
            raise self.trouble
        self.letters.append((sender, recipients, raw))
        return OK


@pytest.fixture
def taken() -> Taken:
    return Taken()


@pytest.fixture
def intake(taken: Taken) -> Iterator[SmtpIntake]:
    listener = SmtpIntake(
        host="127.0.0.1", port=0, host_name="lokole.test", max_bytes=100_000, decide=taken.decide, accept=taken.accept
    )
    listener.start()
    yield listener
    listener.stop()


@pytest.fixture
def client(intake: SmtpIntake) -> Iterator[smtplib.SMTP]:
    with smtplib.SMTP("127.0.0.1", intake.port, timeout=10) as connection:
        connection.ehlo()
        yield connection


def test_a_letter_is_taken_byte_for_byte(client: smtplib.SMTP, taken: Taken) -> None:
    raw = HEAD + b".dots\r\n..\r\ncaf\xe9\r\n" + b"long " * 5000 + b"\r\n"
    client.sendmail("bob@example.org", [KNOWN], raw)
    assert taken.letters == [("bob@example.org", (KNOWN,), raw)]


def test_each_recipient_is_decided_by_itself(client: smtplib.SMTP, taken: Taken) -> None:
    client.mail("bob@example.org")
    codes = [client.rcpt(f"{name}@a.lokole.test")[0] for name in ("ann", "later", "nobody", "trouble", "fault")]
    assert codes == [250, 450, 550, 451, 451]
    assert client.data(HEAD)[0] == 250
    assert taken.letters[0][1] == (KNOWN,)


def test_without_a_recipient_there_is_no_letter(client: smtplib.SMTP, taken: Taken) -> None:
    client.mail("bob@example.org")
    client.rcpt("nobody@a.lokole.test")
    with pytest.raises(smtplib.SMTPDataError):
        client.data(HEAD)
    assert taken.letters == []


def test_the_null_sender_is_taken(client: smtplib.SMTP, taken: Taken) -> None:
    client.sendmail("", [KNOWN], HEAD)
    assert taken.letters[0][0] == ""


def test_what_cannot_be_kept_now_is_asked_for_again_and_nothing_is_told_about_why(
    client: smtplib.SMTP, taken: Taken
) -> None:
    for trouble in (Temporary("no space for ann"), ValueError("a secret")):
        taken.trouble = trouble
        client.mail("bob@example.org")
        client.rcpt(KNOWN)
        code, text = client.data(HEAD)
        assert code == 451
        assert b"secret" not in text and b"ann" not in text
    taken.trouble = None
    client.sendmail("bob@example.org", [KNOWN], HEAD)
    assert len(taken.letters) == 1


def test_a_letter_that_is_too_large_is_refused_announced_or_not(client: smtplib.SMTP, taken: Taken) -> None:
    assert client.mail("bob@example.org", ["SIZE=100001"])[0] == 552
    client.rset()
    client.mail("bob@example.org")
    client.rcpt(KNOWN)
    assert client.data(HEAD + b"x" * 70 + b"\r\n" + (b"y" * 70 + b"\r\n") * 2000)[0] == 552
    assert taken.letters == []


def test_too_many_recipients_are_asked_to_come_in_another_letter(client: smtplib.SMTP, taken: Taken) -> None:
    client.mail("bob@example.org")
    codes = [client.rcpt(f"ann{n}@a.lokole.test")[0] for n in range(MAX_RECIPIENTS + 1)]
    assert codes == [250] * MAX_RECIPIENTS + [452]


def test_it_offers_no_passwords_and_tells_nobody_who_lives_here(client: smtplib.SMTP) -> None:
    assert "auth" not in client.esmtp_features
    assert "starttls" not in client.esmtp_features
    assert client.docmd("EXPN", "ann")[0] == 502
    assert client.docmd("VRFY", KNOWN)[0] == 252
    assert client.docmd("AUTH", "PLAIN AGEAYg==")[0] >= 500


def _sequences() -> list[str]:
    shared = shared_dir()
    if shared is None:
        return OUR_SEQUENCES
    lists = json.loads((shared / "testdata" / "smtp" / "smuggling-eod.json").read_text())
    return sorted({*OUR_SEQUENCES, *lists["inbound_eod_sequences"], *lists["outbound_eod_sequences"]})


@pytest.mark.parametrize("sequence", _sequences(), ids=repr)
def test_no_sequence_makes_two_letters_of_one(intake: SmtpIntake, taken: Taken, sequence: str) -> None:
    """What follows the sequence would be a second letter, from a sender that was never checked."""
    smuggled = b"MAIL FROM:<admin@a.lokole.test>\r\nRCPT TO:<ann@a.lokole.test>\r\nDATA\r\n" + HEAD + b"smuggled\r\n"
    body = HEAD + b"honest" + sequence.encode("latin-1") + smuggled
    with socket.create_connection(("127.0.0.1", intake.port), timeout=10) as line:
        file = line.makefile("rwb")

        def say(text: bytes) -> bytes:
            file.write(text)
            file.flush()
            answer = file.readline()
            while answer[3:4] == b"-":
                answer = file.readline()
            return answer

        file.readline()
        say(b"EHLO x\r\n")
        say(b"MAIL FROM:<bob@example.org>\r\n")
        say(b"RCPT TO:<ann@a.lokole.test>\r\n")
        assert say(b"DATA\r\n").startswith(b"354")
        answer = say(body + b"\r\n.\r\n")
        assert say(b"QUIT\r\n").startswith(b"221")
    assert len(taken.letters) <= 1
    assert all(sender == "bob@example.org" for sender, _, _ in taken.letters)
    assert answer.startswith(b"250") == bool(taken.letters)
    if "\n" in sequence.replace("\r\n", "") or sequence in ("\r.\r", "\r.\r\n", "\r\n\x00.\r\n"):
        assert answer.startswith(b"554")


def test_a_taken_port_is_an_error_at_the_start(intake: SmtpIntake, taken: Taken) -> None:
    second = SmtpIntake(
        host="127.0.0.1", port=intake.port, host_name="x", max_bytes=1, decide=taken.decide, accept=taken.accept
    )
    with pytest.raises(OSError):
        second.start()


def test_after_stopping_nobody_answers(intake: SmtpIntake) -> None:
    intake.stop()
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", intake.port), timeout=5)
