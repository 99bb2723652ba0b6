"""What every way out promises (``ports.mail_out``), over each of them: the same tests for a relay and for SendGrid."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email import message_from_bytes
from typing import Any, Protocol

import pytest
from aiosmtpd.controller import Controller

from lokole.adapters.mail_out.mx import MxMailOut
from lokole.adapters.mail_out.recorder import RecorderMailOut
from lokole.adapters.mail_out.sendgrid import SendGridMailOut
from lokole.adapters.mail_out.smtp import SmtpMailOut
from lokole.mail.errors import Permanent, Temporary
from lokole.mail.mime import build_mime
from lokole.mail.model import Attachment, Contact, Email
from lokole.ports.mail_out import MailOut
from tests.sendgrid import KEY, SendGrid, sendgrid
from tests.servers_mail import free_port
from tests.unit.adapters.test_mx_mail_out import Names

BACK = f"bounce-{'b' * 26}@a.lokole.test"
LETTER = Email(
    sender=Contact("ann@a.lokole.test", "Ann"),
    to=(Contact("bob@example.org"),),
    subject="Élan",
    body="<p>bon</p>",
    attachments=(Attachment("plan.pdf", b"%PDF\x00", "application/pdf"),),
)
MESSAGE = build_mime(LETTER, message_id="<m1@a.lokole.test>", date=datetime(2026, 3, 1, tzinfo=UTC))
LATER, NEVER = "temporary-failure@example.org", "permanent-failure@example.org"


class World(Protocol):
    """The other side: ``out`` leads to it, and it has a name for what it was given."""

    @property
    def out(self) -> MailOut:
        """The way out."""

    def arrived(self) -> list[tuple[str, str]]:
        """Recipient and Message-ID of what came."""


@dataclass
class RecorderWorld:
    out: RecorderMailOut = field(default_factory=RecorderMailOut)

    def arrived(self) -> list[tuple[str, str]]:
        return [(one.recipient, message_from_bytes(one.message)["Message-ID"]) for one in self.out.sent]


class RelayWorld:
    """A relay by SMTP that refuses by the recipient's name."""

    def __init__(self) -> None:
        self.letters: list[tuple[str, str]] = []
        self._controller = Controller(self, hostname="127.0.0.1", port=free_port(), ready_timeout=30)
        self._controller.start()
        self.port = self._controller.port
        self.out: MailOut = SmtpMailOut("127.0.0.1", self.port, host_name="a.lokole.test", timeout=5)

    async def handle_RCPT(self, _server: Any, _session: Any, envelope: Any, address: str, _options: Any) -> str:  # noqa: N802
        if address == LATER:
            return "451 4.3.0 try later"
        if address == NEVER:
            return "550 5.1.1 no such person"
        envelope.rcpt_tos.append(address)
        return "250 fine"

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802
        head = message_from_bytes(envelope.content)
        self.letters += [(one, head["Message-ID"]) for one in envelope.rcpt_tos]
        await asyncio.sleep(0)
        return "250 taken"

    def arrived(self) -> list[tuple[str, str]]:
        return self.letters

    def stop(self) -> None:
        self._controller.stop()


class SendGridWorld:
    """SendGrid, told by the recipient's name what to answer."""

    def __init__(self, world: SendGrid) -> None:
        self._world = world
        self._sendgrid = SendGridMailOut(KEY, base_url=world.url, timeout=5)
        self.out: MailOut = self

    def send(self, *, sender: str, recipient: str, message: bytes) -> None:
        self._world.next = [503] if recipient == LATER else []
        self._sendgrid.send(sender=sender, recipient="no address" if recipient == NEVER else recipient, message=message)

    def arrived(self) -> list[tuple[str, str]]:
        return [
            (one["email"], mail["headers"]["Message-ID"])
            for mail in self._world.taken
            for one in mail["personalizations"][0]["to"]
        ]


@contextmanager
def _relay() -> Iterator[RelayWorld]:
    world = RelayWorld()
    try:
        yield world
    finally:
        world.stop()


@pytest.fixture(params=["recorder", "smtp", "mx", "sendgrid"])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    match request.param:
        case "recorder":
            yield RecorderWorld()
        case "smtp":
            with _relay() as relay:
                yield relay
        case "mx":
            with _relay() as relay:
                relay.out = MxMailOut(
                    Names(hosts={"example.org": ["127.0.0.1"], "example.com": ["127.0.0.1"]}),
                    host_name="a.lokole.test",
                    port=relay.port,
                    allow_private=True,
                    timeout=5,
                )
                yield relay
        case _:
            with sendgrid() as found:
                yield SendGridWorld(found)


class TestMailOut:
    """Each way out."""

    def test_a_letter_is_handed_over_with_its_message_id(self, world: World) -> None:
        world.out.send(sender=BACK, recipient="bob@example.org", message=MESSAGE)
        assert world.arrived() == [("bob@example.org", "<m1@a.lokole.test>")]

    def test_it_may_be_handed_over_again_and_has_the_same_message_id(self, world: World) -> None:
        for recipient in ("bob@example.org", "bob@example.org", "eve@example.com"):
            world.out.send(sender=BACK, recipient=recipient, message=MESSAGE)
        assert {one for _, one in world.arrived()} == {"<m1@a.lokole.test>"}
        assert [one for one, _ in world.arrived()] == ["bob@example.org", "bob@example.org", "eve@example.com"]

    def test_a_notice_has_no_envelope_sender(self, world: World) -> None:
        world.out.send(sender="", recipient="bob@example.org", message=b"Auto-Submitted: auto-replied\r\n" + MESSAGE)
        assert len(world.arrived()) == 1

    def test_later_is_temporary_and_nothing_has_arrived(self, world: World) -> None:
        with pytest.raises(Temporary):
            world.out.send(sender=BACK, recipient=LATER, message=MESSAGE)
        assert world.arrived() == []

    def test_never_is_permanent_with_a_reason_and_nothing_has_arrived(self, world: World) -> None:
        with pytest.raises(Permanent) as caught:
            world.out.send(sender=BACK, recipient=NEVER, message=MESSAGE)
        assert caught.value.reason.partition("5.1.")[1]
        assert world.arrived() == []


@pytest.mark.parametrize("way", ["smtp", "sendgrid"])
def test_a_world_out_of_reach_is_temporary(way: str) -> None:
    nobody = free_port()
    out: MailOut = SmtpMailOut("127.0.0.1", nobody, timeout=5)
    if way == "sendgrid":
        out = SendGridMailOut(KEY, base_url=f"http://127.0.0.1:{nobody}", timeout=5)
    with pytest.raises(Temporary):
        out.send(sender=BACK, recipient="bob@example.org", message=MESSAGE)
