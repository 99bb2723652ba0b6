"""Property P19: after an evening with everything that can go wrong in it, no secret stands on the disk or among the processes, and a letter's words nowhere but in the mailbox.

Thirty words that occur nowhere else are planted: passwords, a PIN, a one-time password, cookies, the webhook's secret, subjects, texts, files.
Afterwards every file of server and box is searched, the temporary folder among them, and every column of both databases.
"""

from __future__ import annotations

import re
import smtplib
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.e2e.processes import REGISTRATION, Device, Line, Server, Visitor, device, run, server, webhook_form
from tests.servers_mail import free_port

pytestmark = pytest.mark.e2e

DOMAIN = "village.lokole.test"
PASSWORDS = {"ann": "canary-password-ann", "ben": "canary-password-ben"}
NEW_PASSWORD, WRONG_PASSWORD, PIN = "canary-password-new", "canary-password-wrong", "83516204"
#: what is planted into letters
WORDS = re.compile(rb"canary-(?:subject|text|file|name)-")
#: where the words of a letter belong: its text, its index, drafts of it, its files' names
MAILBOX = {"email", "email_word", "attachment", "draft", "draft_file", "post", "contact", "recipient", "entry"}


@contextmanager
def evening(folder: Path) -> Iterator[tuple[Server, Device, str]]:
    """A server whose way out is closed, a registered box, and the secret of its webhook."""
    (folder / "tmp").mkdir()
    settings = {"TMPDIR": str(folder / "tmp")}
    with server(folder / "server", mail_out=f"smtp://127.0.0.1:{free_port()}", settings=settings) as town:
        details = town.register(DOMAIN)
        box = device(folder / "box", settings=settings)
        box.register(town.url, details["code"])
        yield town, box, details["webhook"]


def sign_up(person: Visitor, name: str) -> None:
    assert person.post("/user/register", {"name": name, "password": PASSWORDS[name]}).status == 303


def write(person: Visitor, n: int, to: str) -> None:
    """A letter that the box takes or refuses; both ends with its words typed."""
    fields = {"to": to, "subject": f"canary-subject-{n}", "body": f"canary-text-{n}"}
    files = [(f"canary-name-{n}.txt", "text/plain", f"canary-file-{n}".encode())]
    answer = person.post("/email/new", {**fields, "do": "send"}, files=files)
    assert answer.status in (200, 303, 400, 422), answer.status


def from_outside(n: int) -> bytes:
    head = f"From: Bob <bob@example.org>\r\nTo: ann@{DOMAIN}\r\nSubject: canary-subject-{n}\r\n"
    return f"{head}\r\ncanary-text-{n}\r\n".encode()


def command_lines() -> str:
    """What everybody on this machine sees of its processes."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
        except OSError:
            continue
    return "\n".join(found)


def everything_below(folder: Path) -> Iterator[tuple[Path, bytes]]:
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            yield path, path.read_bytes()


def words_of_tables(database: Path) -> Iterator[tuple[str, str]]:
    """Each table with all that stands in it."""
    with closing(sqlite3.connect(database)) as connection:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for table in tables:
            if table.startswith("letter_words"):  # the index of words, which belongs to the mailbox and cannot be read
                continue
            yield table, repr(connection.execute(f'SELECT * FROM "{table}"').fetchall())


def hand_in(town: Server, webhook: str) -> None:
    """Good letters and bad ones, by webhook and by SMTP."""
    posts = (
        (webhook, from_outside(10), "ann", 200),
        (webhook, from_outside(11), "stranger", 200),
        (webhook, b"canary-text-12 that is no letter", "ann", 200),
        ("wrong", from_outside(13), "ann", 403),
    )
    with closing(Line(town.http_port)) as line:
        for secret, raw, to, status in posts:
            body, kind = webhook_form(raw, [f"{to}@{DOMAIN}"])
            assert line("POST", f"/api/email/sendgrid/{secret}", body, {"Content-Type": kind}).status == status
    with smtplib.SMTP("127.0.0.1", town.smtp_port) as client:
        client.sendmail("bob@example.org", [f"ann@{DOMAIN}"], from_outside(14))


def test_no_secret_is_left_anywhere_and_no_word_of_a_letter_outside_the_mailbox(tmp_path: Path) -> None:
    secrets = [*PASSWORDS.values(), NEW_PASSWORD, WRONG_PASSWORD, PIN, REGISTRATION[1]]
    with evening(tmp_path) as (town, box, webhook), box.pages() as ann, closing(Visitor(box.port)) as other:
        sign_up(ann, "ann")
        sign_up(other, "ben")
        with closing(Visitor(box.port)) as guesser:
            assert guesser.post("/user/login", {"name": "ben", "password": WRONG_PASSWORD}).status == 403
        change = {"old": PASSWORDS["ann"], "new": NEW_PASSWORD, "again": NEW_PASSWORD}
        assert ann.post("/user/password/change", change).status == 303
        assert ann.post("/user/pin", {"pin": PIN, "again": PIN}).status == 303
        secrets.append(run("device", "admin", "ben", settings=box.settings).strip().splitlines()[-1].split()[-1])
        secrets += [part.partition("=")[2] for part in ann.cookie_header().split("; ")]
        for n, to in enumerate((f"ben@{DOMAIN}", "bob@example.org", "nobody-here", "bob@")):
            write(ann, n, to)
        box.sync()
        hand_in(town, webhook)
        town.wait_for_letters(DOMAIN)
        box.sync()
        seen = command_lines()
    files = list(everything_below(tmp_path))
    assert {"server.log", "device.log", "lokole.db"} <= {path.name for path, content in files if content}
    for secret in secrets:
        assert secret not in seen, f"“{secret}” is seen among the processes"
        for path, content in files:
            assert secret.encode() not in content, f"“{secret}” stands in {path}"
    assert "canary" not in seen and webhook not in seen
    for path, content in files:
        of_the_mailbox = path.name.startswith("lokole.db")
        # whoever runs the server can ask for the secret of a webhook again, so its database has it
        assert of_the_mailbox or webhook.encode() not in content, path
        assert of_the_mailbox or "blobs" in path.parts or not WORDS.search(content), path
    for side in ("server", "box"):
        for table, words in words_of_tables(tmp_path / side / "data" / "lokole.db"):
            assert table in MAILBOX or not WORDS.search(words.encode()), f"{table} of the {side} has words of a letter"
