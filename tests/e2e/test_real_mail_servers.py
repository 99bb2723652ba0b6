"""Letters out through a real Postfix into a real Dovecot, read back over IMAP; and in through a real Postfix.

The box and the server are real processes too; the only thing missing is the distance.
"""

from __future__ import annotations

import email
import email.policy
import hashlib
import io
import smtplib
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path

import pytest
from PIL import Image

from tests.e2e.processes import Device, Server, Visitor, device, server
from tests.servers_mail import Dovecot, Postfix, dovecot, free_port, postfix

pytestmark = pytest.mark.e2e

DOMAIN = "village.lokole.test"
TOWN = "town.test"
PASSWORD = "grace likes mangoes"


@dataclass
class World:
    """A box, its server, the relay that carries mail both ways, and the mailbox in town."""

    centre: Server
    box: Device
    relay: Postfix
    town: Dovecot

    def bring(self, message: EmailMessage, recipient: str) -> None:
        """Hand a letter from town to the relay, for somebody of the village."""
        with smtplib.SMTP("127.0.0.1", self.relay.smtp_port, timeout=30) as smtp:
            smtp.send_message(message, "kofi@town.test", [recipient])

    def delivery_state(self, address: str) -> str:
        """Where a letter written on the box is for ``address``, as its writer sees it."""
        path = Path(self.box.settings["LOKOLE_DATA"]) / "lokole.db"
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
            ((state,),) = database.execute("SELECT state FROM recipient WHERE address = ?", (address,)).fetchall()
        return str(state)

    def inbox(self, person: str) -> list[tuple[str, str, str]]:
        """(subject, sender, body) of each letter in the inbox of ``person``, oldest first."""
        path = Path(self.box.settings["LOKOLE_DATA"]) / "lokole.db"
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
            return database.execute(
                "SELECT email.subject, email.sender_address, email.body FROM entry "
                "JOIN account ON account.no = entry.account JOIN email ON email.order_no = entry.email "
                "WHERE entry.folder = 'inbox' AND account.name = ? ORDER BY email.order_no",
                (person,),
            ).fetchall()

    def visit_until(self, person: str, subject: str, *, seconds: float = 40) -> str:
        """Visit until a letter with ``subject`` is in the inbox of ``person``; its body."""
        deadline = time.monotonic() + seconds
        while True:
            report = self.box.sync()
            assert report["result"] == "ok", report
            for found, _sender, body in self.inbox(person):
                if found == subject:
                    return body
            assert time.monotonic() < deadline, f"“{subject}” did not come: {self.relay.queue()}"
            time.sleep(0.3)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("mail-servers")
    with ExitStack() as stack:
        town = stack.enter_context(dovecot())
        smtp_in = free_port()
        relay = stack.enter_context(postfix(mailboxes={TOWN: town.lmtp_port}, relays={DOMAIN: smtp_in}))
        centre = stack.enter_context(
            server(
                folder / "server",
                mail_out=f"smtp://127.0.0.1:{relay.smtp_port}",
                settings={"LOKOLE_SMTP_LISTEN": f"127.0.0.1:{smtp_in}"},
            )
        )
        box = device(folder / "box")
        box.register(centre.url, centre.register(DOMAIN)["code"])
        stack.enter_context(box.pages())
        made = World(centre, box, relay, town)
        sign_up(made, "grace")
        assert box.sync()["result"] == "ok"
        centre.wait_for_people(DOMAIN, 1)
        yield made


def sign_up(world: World, name: str) -> None:
    with closing(Visitor(world.box.port)) as visitor:
        answer = visitor.post("/user/register", {"name": name, "password": PASSWORD})
    assert answer.status == 303, answer.body


def send(
    world: World, name: str, fields: Mapping[str, str], files: Sequence[tuple[str, str, bytes]] | None = None
) -> None:
    """Write a letter in the pages as ``name`` and put it into the bag."""
    with closing(Visitor(world.box.port)) as visitor:
        answer = visitor.post("/user/login", {"name": name, "password": PASSWORD})
        assert answer.status == 303, answer.body
        answer = visitor.post("/email/new", {**fields, "do": "send"}, files=files)
        assert answer.status == 303, answer.body


def photo() -> bytes:
    """A JPEG of 1600 x 1200 with something on it."""
    image = Image.linear_gradient("L").resize((1600, 1200)).convert("RGB")
    out = io.BytesIO()
    image.save(out, "JPEG", quality=90)
    return out.getvalue()


def read_back(raw: bytes) -> EmailMessage:
    message = email.message_from_bytes(raw, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    return message


# Out


@pytest.fixture(scope="module")
def letter_out(world: World) -> EmailMessage:
    """A letter written in the pages with a photo and a text file, as Kofi finds it in town over IMAP."""
    send(
        world,
        "grace",
        {
            "to": "kofi@town.test",
            "bcc": "ama@town.test",
            "subject": "Grüße aus dem Dorf – 你好",
            "body": "Dear Kofi,\n\nthe well is ready: 1 < 2 & so on.\n\nGrace",
        },
        files=[
            ("puits.jpg", "image/jpeg", photo()),
            ("liste des élèves.txt", "text/plain", b"Ama\nKofi\n"),
        ],
    )
    report = world.box.sync()
    assert report["result"] == "ok"
    assert report["letters_up"] == 1
    (raw,) = world.town.letters("kofi@town.test")
    return read_back(raw)


def test_a_letter_written_on_the_box_is_read_over_imap(letter_out: EmailMessage) -> None:
    assert letter_out["Subject"] == "Grüße aus dem Dorf – 你好"
    assert letter_out["From"].addresses[0].addr_spec == f"grace@{DOMAIN}"
    assert [to.addr_spec for to in letter_out["To"].addresses] == ["kofi@town.test"]
    plain = letter_out.get_body(("plain",))
    assert plain is not None
    assert "the well is ready: 1 < 2 & so on." in plain.get_content()
    markup = letter_out.get_body(("html",))
    assert markup is not None
    assert "1 &lt; 2 &amp; so on." in markup.get_content()


def test_its_message_id_is_of_the_writers_domain(letter_out: EmailMessage) -> None:
    assert letter_out["Message-ID"].endswith(f"@{DOMAIN}>")
    assert letter_out["Date"].datetime is not None


def test_its_files_are_those_that_were_written(letter_out: EmailMessage) -> None:
    picture, text = list(letter_out.iter_attachments())
    content = picture.get_content()
    with Image.open(io.BytesIO(content)) as image:
        assert max(image.size) == 640
    assert len(content) < len(photo())
    assert picture.get_filename() is not None
    assert text.get_filename() == "liste des élèves.txt"
    content = text.get_payload(decode=True)
    assert isinstance(content, bytes)
    assert hashlib.sha256(content).hexdigest() == hashlib.sha256(b"Ama\nKofi\n").hexdigest()


def test_bcc_arrives_and_nobody_sees_it(world: World, letter_out: EmailMessage) -> None:
    (raw,) = world.town.letters("ama@town.test")
    for message in (letter_out, read_back(raw)):
        assert message["Bcc"] is None
        assert "ama" not in str(message["To"])
    assert read_back(raw)["Message-ID"] == letter_out["Message-ID"]


def test_what_the_other_server_refuses_comes_home_to_the_writer(world: World) -> None:
    send(
        world,
        "grace",
        {"to": "nobody@elsewhere.test", "subject": "To nowhere", "body": "Is anybody there?"},
    )
    assert world.box.sync()["letters_up"] == 1
    deadline = time.monotonic() + 30
    while world.delivery_state("nobody@elsewhere.test") != "refused":
        assert time.monotonic() < deadline, "no receipt came home"
        time.sleep(0.3)
        world.box.sync()


# In


def test_a_letter_from_town_is_in_the_inbox(world: World) -> None:
    message = EmailMessage()
    message["From"] = "Kofi Annan <kofi@town.test>"
    message["To"] = f"Grace <GRACE@{DOMAIN}>"
    message["Subject"] = "Prix du maïs"
    message.set_content("Le maïs coûte 300.\n")
    message.add_attachment(b"a,b\r\n1,2\r\n", maintype="text", subtype="csv", filename="prix.csv")
    world.bring(message, f"GRACE@{DOMAIN.upper()}")
    assert "Le maïs coûte 300." in world.visit_until("grace", "Prix du maïs")


def test_a_letter_whose_only_recipient_is_in_the_envelope_arrives(world: World) -> None:
    message = EmailMessage()
    message["From"] = "list@town.test"
    message["To"] = "friends-of-the-well@lists.town.test"
    message["Subject"] = "News of the well"
    message.set_content("It rained.")
    world.bring(message, f"grace@{DOMAIN}")
    assert "It rained." in world.visit_until("grace", "News of the well")


def test_a_letter_to_somebody_who_signed_up_since_waits_for_the_next_visit(world: World) -> None:
    """An unknown person at a known box: 450 until the box has visited once more, then delivered."""
    message = EmailMessage()
    message["From"] = "kofi@town.test"
    message["To"] = f"samuel@{DOMAIN}"
    message["Subject"] = "Welcome, Samuel"
    message.set_content("I hear that you have an address now.")
    world.bring(message, f"samuel@{DOMAIN}")
    deferred = _deferred(world, f"samuel@{DOMAIN}")
    assert " 450 " in deferred or "450-" in deferred, deferred

    sign_up(world, "samuel")
    assert world.box.sync()["result"] == "ok"
    world.centre.wait_for_people(DOMAIN, 2)
    world.relay.flush()
    assert "an address now" in world.visit_until("samuel", "Welcome, Samuel")
    assert world.relay.queue() == []


def test_a_letter_to_nobody_is_given_back_after_the_next_visit(world: World) -> None:
    message = EmailMessage()
    message["From"] = "kofi@town.test"
    message["To"] = f"nobody@{DOMAIN}"
    message["Subject"] = "Is this your address?"
    message.set_content("Perhaps not.")
    world.bring(message, f"nobody@{DOMAIN}")
    _deferred(world, f"nobody@{DOMAIN}")
    assert world.box.sync()["result"] == "ok"
    world.relay.flush()
    deadline = time.monotonic() + 30
    while not any(b"Is this your address?" in raw for raw in world.town.letters("kofi@town.test")):
        assert time.monotonic() < deadline, "Postfix gave nothing back"
        time.sleep(0.3)
    assert "550" in world.relay.log()


def _deferred(world: World, recipient: str, *, seconds: float = 20) -> str:
    """Why Postfix keeps the letter to ``recipient`` in its queue."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        for waiting in world.relay.queue():
            recipients = waiting["recipients"]
            assert isinstance(recipients, list)
            for one in recipients:
                if one["address"] == recipient and "delay_reason" in one:
                    return str(one["delay_reason"])
        time.sleep(0.2)
    raise AssertionError(f"nothing for {recipient} waits in the queue: {world.relay.log()[-3000:]}")
