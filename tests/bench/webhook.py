"""Webhook posts of 30 kB to a real ``lokole server``: how many it takes durably per second of its CPU.

Each post has a connection of its own, as a provider's have. The work behind (parsing, shrinking, storing) is done by a
``lokole worker`` afterwards and reported beside: the first Lokole's 10 is both together.
"""

from __future__ import annotations

import sqlite3
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from email.message import EmailMessage
from pathlib import Path

from lokole.mail.html import html_to_text
from tests.bench.letters import Letters
from tests.bench.measure import Figure, tree_cpu_seconds
from tests.e2e.processes import Line, Server, process, server, webhook_form

DOMAIN = "bench.lokole.test"
POSTS = 2_000
POSTERS = 4
LETTER_BYTES = 30_000
_WARM_UP = 100


def measure() -> Iterator[Figure]:
    with tempfile.TemporaryDirectory() as folder, server(Path(folder), settings={"LOKOLE_WORKERS": "0"}) as centre:
        with process("worker", settings=centre.settings, log=Path(folder) / "preparing.log"):
            details = centre.register(DOMAIN)
        hook = f"/api/email/sendgrid/{details['webhook']}"
        bodies = [webhook_form(raw, [f"amina@{DOMAIN}"]) for raw in messages(_WARM_UP + POSTS)]
        post_all(centre.http_port, hook, bodies[:_WARM_UP])
        cpu, wall = tree_cpu_seconds(centre.process.pid), time.perf_counter()
        post_all(centre.http_port, hook, bodies[_WARM_UP:])
        used, passed = tree_cpu_seconds(centre.process.pid) - cpu, time.perf_counter() - wall
        with process("worker", settings=centre.settings, log=Path(folder) / "worker.log") as worker:
            behind = _work_off(centre, worker.pid)
    yield Figure("webhook_per_cpu_s", POSTS / used, "1/s")
    yield Figure("webhook_work_behind_per_cpu_s", (POSTS + _WARM_UP) / behind, "1/s")
    yield Figure("wall_webhook_per_s", POSTS / passed, "1/s")


def messages(count: int, *, domain: str = DOMAIN) -> Iterator[bytes]:
    """Messages of 30 kB: text, and a file that fills them up."""
    letters = Letters(f"amina@{domain}")
    for n, letter in enumerate(letters(count)):
        message = EmailMessage()
        message["From"] = str(letter.sender)
        message["To"] = f"amina@{domain}"
        message["Subject"] = f"{n} {letter.subject}".replace("\n", " ").replace("\r", " ")
        message["Message-ID"] = letter.message_id
        message.set_content(html_to_text(letter.body))
        room = LETTER_BYTES - len(message.as_bytes())
        message.add_attachment(
            (letter.attachments[0].content if letter.attachments else letter.body.encode() * 40)[: room * 57 // 78],
            maintype="application",
            subtype="octet-stream",
            filename="file.bin",
        )
        yield message.as_bytes().replace(b"\n", b"\r\n")


def post_all(port: int, hook: str, bodies: list[tuple[bytes, str]], *, posters: int = POSTERS) -> None:
    """Post them all, ``posters`` at a time; each has to be taken."""
    with ThreadPoolExecutor(posters) as pool:
        for status in pool.map(lambda body: _post(port, hook, *body), bodies):
            assert status == 200, status


def _post(port: int, hook: str, body: bytes, content_type: str) -> int:
    with closing(Line(port)) as line:
        return line("POST", hook, body, {"Content-Type": content_type}).status


def _work_off(centre: Server, worker: int) -> float:
    """CPU seconds of the worker for all the letters, its start left out."""
    cpu, left = None, 1
    while left:
        time.sleep(0.1)
        with closing(sqlite3.connect(f"file:{centre.settings['LOKOLE_DATA']}/lokole.db?mode=ro", uri=True)) as database:
            query = "SELECT count(*), sum(state = 'ready') FROM job WHERE kind = 'receive'"
            total, left = database.execute(query).fetchone()
        if cpu is None and left < total:
            cpu = tree_cpu_seconds(worker)
    assert cpu is not None
    return tree_cpu_seconds(worker) - cpu
