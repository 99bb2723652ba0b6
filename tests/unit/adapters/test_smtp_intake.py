"""The SMTP listener: what it answers, and that no sender can make two letters of one."""

from __future__ import annotations

import json
import smtplib
import socket
import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from lokole.adapters.intake.smtp import MAX_RECIPIENTS, OK, KeptCertificate, Peer, Reply, SmtpIntake
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
        self.peers: list[Peer] = []

    def decide(self, peer: Peer, sender: str, recipient: str) -> Reply:
        if recipient.startswith("trouble"):
            raise Temporary("no database")
        if recipient.startswith("fault"):
            raise ValueError("ann@a.lokole.test is somebody")
        return {"ann": OK, "later": Reply(450, "4.2.1", "later")}.get(
            recipient.partition("@")[0].rstrip("0123456789"), Reply(550, "5.1.1", "nobody")
        )

    def accept(self, peer: Peer, sender: str, recipients: tuple[str, ...], raw: bytes) -> Reply:
        self.peers.append(peer)
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


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    chain, private = tmp_path / "chain.pem", tmp_path / "key.pem"
    write_certificate(chain, private)
    return chain, private


def write_certificate(chain: Path, private: Path) -> bytes:
    """Make a new one; what it is in bytes (DER)."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "lokole.test")])
    begin = datetime(2020, 1, 1, tzinfo=UTC)
    built = x509.CertificateBuilder(name, name, key.public_key(), 1, begin, begin.replace(year=2100))
    signed = built.sign(key, hashes.SHA256())
    chain.write_bytes(signed.public_bytes(Encoding.PEM))
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return signed.public_bytes(Encoding.DER)


def trusting_anybody() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def test_a_letter_may_come_encrypted_and_nothing_said_before_counts(
    taken: Taken, certificate: tuple[Path, Path]
) -> None:
    door = Door()
    intake = listener(taken, tls=KeptCertificate(*certificate), door=door)
    intake.start()
    try:
        trusting = trusting_anybody()
        with smtplib.SMTP("127.0.0.1", intake.port, timeout=10) as connection:
            connection.ehlo("mail.example.org")
            assert "starttls" in connection.esmtp_features
            connection.mail("eve@example.org")
            connection.starttls(context=trusting)
            assert connection.rcpt(KNOWN)[0] == 503
            connection.ehlo("mail.example.org")
            connection.sendmail("bob@example.org", [KNOWN], HEAD)
        with smtplib.SMTP("127.0.0.1", intake.port, timeout=10) as connection:
            connection.sendmail("bob@example.org", [KNOWN], HEAD)
    finally:
        intake.stop()
    assert [peer.encrypted for peer in taken.peers] == [True, False]
    assert taken.peers[0] == Peer("127.0.0.1", "mail.example.org", True)
    assert door.entered == 2  # becoming encrypted is no second connection


def test_a_certificate_that_was_renewed_is_served_within_a_minute_and_never_by_halves(
    taken: Taken, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    seconds = [0.0]
    chain, key = tmp_path / "chain.pem", tmp_path / "key.pem"
    first = write_certificate(chain, key)
    intake = listener(taken, tls=KeptCertificate(chain, key, seconds=lambda: seconds[0]))
    intake.start()

    def served() -> bytes:
        with smtplib.SMTP("127.0.0.1", intake.port, timeout=10) as connection:
            connection.starttls(context=trusting_anybody())
            connection.sendmail("bob@example.org", [KNOWN], HEAD)
            assert isinstance(connection.sock, ssl.SSLSocket)
            return connection.sock.getpeercert(binary_form=True) or b""

    try:
        assert served() == first
        second = write_certificate(tmp_path / "new.pem", tmp_path / "new-key.pem")
        (tmp_path / "new.pem").replace(chain)
        seconds[0] = 61
        assert served() == first, "its key is not there yet"
        assert "cannot be read again" in caplog.text
        (tmp_path / "new-key.pem").replace(key)
        seconds[0] = 100
        assert served() == first, "it is looked at once a minute"
        seconds[0] = 122
        assert served() == second
        chain.unlink()
        seconds[0] = 200
        assert served() == second
    finally:
        intake.stop()


class Door:
    """Lets ``places`` connections in, all together."""

    def __init__(self, places: int = 1000) -> None:
        self.places = places
        self.entered = 0
        self.left = threading.Semaphore(0)

    def enter(self, address: str) -> Reply | None:
        assert address == "127.0.0.1"
        if self.entered == self.places:
            return Reply(421, "4.7.0", "come again")
        self.entered += 1
        return None

    def leave(self, address: str) -> None:
        self.left.release()


def listener(taken: Taken, **more: Any) -> SmtpIntake:
    plain: dict[str, Any] = {"host": "127.0.0.1", "port": 0, "host_name": "lokole.test", "max_bytes": 100_000}
    return SmtpIntake(**(plain | more), decide=taken.decide, accept=taken.accept)


def test_whom_the_door_turns_away_hears_why_and_the_next_one_comes_in(taken: Taken) -> None:
    door = Door(places=1)
    intake = listener(taken, door=door)
    intake.start()
    try:
        with smtplib.SMTP("127.0.0.1", intake.port, timeout=10) as inside:
            inside.ehlo()
            with socket.create_connection(("127.0.0.1", intake.port), timeout=10) as turned_away:
                said = b"".join(iter(lambda: turned_away.recv(1000), b""))
            assert said.startswith(b"421 4.7.0 come again")
            assert inside.noop()[0] == 250
        assert door.left.acquire(timeout=10)
        assert not door.left.acquire(blocking=False)  # who was never in does not leave
    finally:
        intake.stop()


def test_the_most_recipients_of_a_letter_are_a_setting(taken: Taken) -> None:
    intake = listener(taken, max_recipients=2)
    intake.start()
    try:
        with smtplib.SMTP("127.0.0.1", intake.port, timeout=10) as connection:
            connection.ehlo()
            connection.mail("bob@example.org")
            assert [connection.rcpt(f"ann{n}@a.lokole.test")[0] for n in range(3)] == [250, 250, 452]
    finally:
        intake.stop()


def test_ten_thousand_recipients_come_in_a_hundred_letters(client: smtplib.SMTP, taken: Taken) -> None:
    """As a sender does that is told 452: each recipient is taken exactly once, and none is refused for good."""
    left = [f"ann{n}@a.lokole.test" for n in range(10_000)]
    while left:
        client.mail("bob@example.org")
        answers = {one: client.rcpt(one)[0] for one in left[: MAX_RECIPIENTS + 5]}
        assert set(answers.values()) <= {250, 452}
        assert client.data(HEAD)[0] == 250
        left = [one for one in left if answers.get(one) != 250]
    assert [len(recipients) for _, recipients, _ in taken.letters] == [MAX_RECIPIENTS] * 100
    assert len({one for _, recipients, _ in taken.letters for one in recipients}) == 10_000


@pytest.mark.parametrize("piece", [b"y" * 70 + b"\r\n", b"y" * 4096], ids=["lines", "one line"])
def test_a_letter_without_an_end_is_cut_off_and_the_others_are_served(
    intake: SmtpIntake, taken: Taken, piece: bytes
) -> None:
    with socket.create_connection(("127.0.0.1", intake.port), timeout=10) as line:
        file = line.makefile("rb")
        file.readline()
        for text in (b"HELO x\r\n", b"MAIL FROM:<bob@example.org>\r\n", f"RCPT TO:<{KNOWN}>\r\n".encode(), b"DATA\r\n"):
            line.sendall(text)
            file.readline()
        with pytest.raises(OSError):  # hung up, long before 400 MB
            for _ in range(1000):
                line.sendall(piece * 100)
    assert taken.letters == []
    with smtplib.SMTP("127.0.0.1", intake.port, timeout=10) as connection:
        connection.sendmail("bob@example.org", [KNOWN], HEAD)
    assert len(taken.letters) == 1
