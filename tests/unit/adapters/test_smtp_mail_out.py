"""Letters out by SMTP, against a relay that says what it is told to say."""

from __future__ import annotations

import socket
import socketserver
import threading
from collections.abc import Iterator

import pytest

from lokole.adapters.mail_out.smtp import SmtpMailOut
from lokole.mail.errors import Permanent, Temporary

MESSAGE = b"From: ann@a.lokole.test\r\nSubject: x\r\n\r\nhello\r\n.a dot\r\n"


class Relay(socketserver.ThreadingTCPServer):
    """Answers each command with what stands under its name in ``answers``; "drop" closes the line, "hang" says nothing."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Dialogue)
        self.answers: dict[str, str] = {}
        self.features: list[str] = []
        self.heard: list[bytes] = []
        self.letters: list[bytes] = []
        self.over = threading.Event()

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up in the middle is what these tests are about."""


class _Dialogue(socketserver.StreamRequestHandler):
    server: Relay

    def handle(self) -> None:
        if not self.say("connect", "220 relay"):
            return
        while line := self.rfile.readline():
            self.server.heard.append(line.rstrip())
            verb = line.split()[0].upper().decode("latin-1") if line.split() else ""
            if verb == "EHLO":
                features = ["relay", *self.server.features]
                text = "\r\n".join(f"250-{one}" for one in features[:-1]) + f"\r\n250 {features[-1]}"
                if not self.say(verb, text.lstrip()):
                    return
            elif verb == "DATA":
                if not self.say(verb, "354 go on") or "DATA" in self.server.answers:
                    return
                letter = b""
                while (part := self.rfile.readline()) not in (b".\r\n", b""):
                    letter += part
                self.server.letters.append(letter)
                if not self.say("end", "250 taken"):
                    return
            elif not self.say(verb, "221 bye" if verb == "QUIT" else "250 fine"):
                return

    def say(self, name: str, otherwise: str) -> bool:
        answer = self.server.answers.get(name, otherwise)
        if answer == "drop":
            return False
        if answer == "hang":
            self.server.over.wait(10)
            return False
        self.wfile.write(answer.strip("\r\n").encode("utf-8") + b"\r\n")
        return True


@pytest.fixture
def relay() -> Iterator[Relay]:
    with Relay() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield server
        server.over.set()
        server.shutdown()
        thread.join()


def send(
    relay: Relay, *, sender: str = "ann@a.lokole.test", recipient: str = "bob@example.org", message: bytes = MESSAGE
) -> None:
    SmtpMailOut("127.0.0.1", relay.port, host_name="lokole.test", timeout=0.5).send(
        sender=sender, recipient=recipient, message=message
    )


def test_a_letter_is_handed_over_with_dots_doubled(relay: Relay) -> None:
    send(relay)
    assert relay.letters == [MESSAGE.replace(b"\r\n.a", b"\r\n..a")]
    assert relay.heard[0] == b"ehlo lokole.test"
    assert [one.lower() for one in relay.heard[1:3]] == [b"mail from:<ann@a.lokole.test>", b"rcpt to:<bob@example.org>"]


def test_the_null_sender_goes_out_as_such(relay: Relay) -> None:
    send(relay, sender="")
    assert relay.heard[1].lower() == b"mail from:<>"


@pytest.mark.parametrize("name", ["MAIL", "RCPT", "end"])
def test_a_four_hundred_is_temporary_and_a_five_hundred_permanent_with_the_words_for_the_writer(
    relay: Relay, name: str
) -> None:
    relay.answers[name] = "451 4.3.0 busy"
    with pytest.raises(Temporary) as temporary:
        send(relay)
    assert "451" in str(temporary.value)
    relay.answers[name] = "550 5.1.1 no such person"
    with pytest.raises(Permanent) as permanent:
        send(relay)
    assert permanent.value.reason == "550 5.1.1 no such person"


@pytest.mark.parametrize("name", ["connect", "EHLO", "MAIL", "RCPT", "DATA", "end"])
@pytest.mark.parametrize("what", ["drop", "hang", "421 4.3.2 shutting down"])
def test_whatever_happens_to_the_line_is_temporary(relay: Relay, name: str, what: str) -> None:
    if name == "DATA" and what.startswith("421"):
        relay.answers[name] = what
        with pytest.raises(Temporary):
            send(relay)
        return
    relay.answers[name] = what
    if name == "EHLO" and not what.startswith("421"):
        relay.answers["HELO"] = what
    if name == "EHLO" and what.startswith("421"):
        relay.answers["HELO"] = what
    with pytest.raises(Temporary):
        send(relay)


def test_a_relay_that_is_not_there_or_greets_with_a_refusal_is_temporary(relay: Relay) -> None:
    relay.answers["connect"] = "554 no service"
    with pytest.raises(Temporary):
        send(relay)
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        with pytest.raises(Temporary):
            SmtpMailOut("127.0.0.1", unused.getsockname()[1], timeout=1).send(
                sender="a@b.c", recipient="d@e.f", message=b"x"
            )


def test_a_password_that_is_not_taken_waits_for_the_operator(relay: Relay) -> None:
    relay.features = ["AUTH PLAIN"]
    relay.answers["AUTH"] = "535 5.7.8 bad credentials"
    out = SmtpMailOut("127.0.0.1", relay.port, user="us", password="secret", timeout=0.5)
    with pytest.raises(Temporary) as waits:
        out.send(sender="a@b.test", recipient="c@d.test", message=MESSAGE)
    assert waits.value.operator is not None and "(535)" in waits.value.operator
    relay.answers["AUTH"] = "454 4.7.0 later"
    with pytest.raises(Temporary) as later:
        out.send(sender="a@b.test", recipient="c@d.test", message=MESSAGE)
    assert later.value.operator is None


def test_a_relay_that_wants_a_password_refuses_no_letter(relay: Relay) -> None:
    relay.answers["MAIL"] = "530 5.7.0 authentication required"
    with pytest.raises(Temporary) as waits:
        send(relay)
    assert waits.value.operator is not None and "(530)" in waits.value.operator


def test_an_answer_lost_after_the_letter_is_temporary_and_a_dropped_goodbye_is_not(relay: Relay) -> None:
    relay.answers["QUIT"] = "drop"
    send(relay)
    assert len(relay.letters) == 1


def test_lone_line_ends_never_leave(relay: Relay) -> None:
    send(relay, message=b"Subject: x\r\n\r\none\n.\ntwo\r.\rthree\r\n.\r\r\nfour")
    (letter,) = relay.letters
    assert b"\n" not in letter.replace(b"\r\n", b"")
    assert b"\r" not in letter.replace(b"\r\n", b"")
    assert letter.count(b"\r\n..\r\n") == 3


def test_an_address_beyond_ascii_needs_a_relay_that_can_write_it(relay: Relay) -> None:
    with pytest.raises(Permanent):
        send(relay, recipient="bób@example.org")
    relay.features = ["SMTPUTF8", "8BITMIME"]
    send(relay, recipient="bób@example.org")
    assert "rcpt to:<bób@example.org>" in relay.heard[-3].decode().lower()


def test_addresses_cannot_smuggle_commands(relay: Relay) -> None:
    with pytest.raises((Temporary, Permanent)):
        send(relay, recipient="bob@example.org>\r\nRCPT TO:<eve@example.org")
    assert not any(b"eve" in one for one in relay.heard)


def test_a_relay_that_does_not_speak_tls_gets_nothing(relay: Relay) -> None:
    for security in ("starttls", "tls"):
        out = SmtpMailOut("127.0.0.1", relay.port, security=security, timeout=0.5)
        with pytest.raises(Temporary):
            out.send(sender="a@b.test", recipient="c@d.test", message=MESSAGE)
    assert relay.letters == []


def check(relay: Relay, **more: str) -> str:
    return SmtpMailOut("127.0.0.1", relay.port, host_name="lokole.test", timeout=0.5, **more).check()


def test_the_relay_is_entered_and_left_without_a_letter(relay: Relay) -> None:
    assert check(relay) == "the relay answers"
    relay.features = ["AUTH PLAIN"]
    relay.answers["AUTH"] = "235 2.7.0 welcome"
    assert check(relay, user="us", password="secret") == "the relay takes letters from this user"
    assert [one.split()[0].lower() for one in relay.heard] == [b"ehlo", b"quit", b"ehlo", b"auth", b"quit"]


def test_what_is_wrong_with_the_relay_is_told_apart(relay: Relay) -> None:
    with pytest.raises(Permanent, match="no way to sign in"):
        check(relay, user="us", password="secret")
    with pytest.raises(Permanent, match="offers no encryption"):
        check(relay, security="starttls")
    relay.features = ["AUTH PLAIN"]
    relay.answers["AUTH"] = "535 5.7.8 no"
    with pytest.raises(Permanent, match=r"does not let this user in \(535\)") as refused:
        check(relay, user="us", password="secret")
    assert "secret" not in str(refused.value)
    relay.answers["AUTH"] = "454 4.7.0 later"
    with pytest.raises(Temporary, match="454"):
        check(relay, user="us", password="secret")
    relay.answers["connect"] = "drop"
    with pytest.raises(Temporary, match="no connection to the relay"):
        check(relay)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("smtp://relay", ("relay", 25, "none", None)),
        ("smtp://127.0.0.1:2525", ("127.0.0.1", 2525, "none", None)),
        ("smtp+starttls://us%40er@relay", ("relay", 587, "starttls", "us@er")),
        ("smtps://user@[::1]:4650", ("::1", 4650, "tls", "user")),
    ],
)
def test_the_setting_names_the_relay(url: str, expected: tuple[object, ...]) -> None:
    out = SmtpMailOut.from_url(url, password="secret")
    assert (out.host, out.port, out.security, out.user) == expected
    assert "secret" not in repr(out)


@pytest.mark.parametrize("url", ["http://relay", "smtp://", "smtp:"])
def test_another_address_is_no_relay(url: str) -> None:
    with pytest.raises(ValueError):
        SmtpMailOut.from_url(url)
