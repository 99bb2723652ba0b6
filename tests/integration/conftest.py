"""What runs on this machine after ``make start``: its addresses, its people, and a way to let the box meet the server.

The workflows leave their letters there for a newcomer to look at, so each uses names of its own.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest

from tests.person_at import PersonAt

T = TypeVar("T")
PASSWORD = "the goat eats mangoes"
FOLDER = Path(os.environ.get("DATA", ".lokole")) / "data"


@dataclass(frozen=True)
class Village:
    """The addresses in ``local.json``, and what one does there."""

    folder: Path
    box: str
    server: str
    world: str
    status: str
    domain: str
    registration: tuple[str, str]
    run: str

    def name(self, name: str) -> str:
        """A name that no earlier run has used, such as ``ann-1123101500``."""
        return f"{name}-{self.run}"

    def sign_up(self, name: str) -> PersonAt:
        """A new person of the box, signed in."""
        person = PersonAt(self.box)
        page = person.open("/user/register").fill(name=self.name(name), password=PASSWORD).press()
        assert page.path == "/email/inbox", page.text
        return person

    def address(self, name: str) -> str:
        return f"{self.name(name)}@{self.domain}"

    def sync(self) -> dict[str, Any]:
        """Let the box meet the server now, by the command that an operator types beside the running box."""
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("LOKOLE_", "OPWEN_"))}
        for _ in range(50):
            done = subprocess.run(
                [sys.executable, "-m", "lokole", "sync", "--json"],
                env={**clean, "LOKOLE_DATA": str(self.folder / "box")},
                capture_output=True, text=True, timeout=120, check=False,
            )  # fmt: skip
            report: dict[str, Any] = json.loads(done.stdout)
            if report["result"] != "busy":
                assert (done.returncode, report["result"]) == (0, "ok"), done.stderr
                return report
            time.sleep(0.2)
        raise AssertionError("somebody else's exchange does not end")

    def outside(self, subject: str) -> list[dict[str, Any]]:
        """The letters with this subject that have arrived in the outside world."""
        letters: list[dict[str, Any]] = json.loads(PersonAt(self.world).open("/letters.json").content)
        return [letter for letter in letters if letter["subject"] == subject]

    def status_of_box(self) -> dict[str, Any]:
        boxes = json.loads(PersonAt(self.status).open("/status.json").content)["boxes"]
        return next(dict(box) for box in boxes if box["domain"] == self.domain)

    def api(self, method: str, path: str, value: Any = None, *, content: bytes | None = None, type: str = "application/json",
            signed_in: bool = True) -> tuple[int, Any]:  # fmt: skip
        """A call of the server's API as an operator makes it: status and JSON."""
        body = content if value is None else json.dumps(value).encode()
        headers = {"Content-Type": type} if body is not None else {}
        if signed_in:
            headers["Authorization"] = "Basic " + base64.b64encode(":".join(self.registration).encode()).decode()
        request = urllib.request.Request(self.server.rstrip("/") + path, body, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.loads(error.read() or b"null")


def eventually(ask: Callable[[], T], *, seconds: float = 30) -> T:
    """The first answer that is not empty; what the server does, it does behind."""
    deadline = time.monotonic() + seconds
    while True:
        answer = ask()
        if answer:
            return answer
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.2)


@pytest.fixture(scope="session")
def village() -> Village:
    """What ``make start`` runs."""
    path = FOLDER / "local.json"
    if not path.exists():
        pytest.skip(f"nothing runs: {path} is not there; `make start` starts it")
    told = json.loads(path.read_text("utf-8"))
    try:
        os.kill(told["pid"], 0)
    except ProcessLookupError:
        pytest.skip("what ran here has ended; `make start` starts it again")
    return Village(
        folder=FOLDER,
        box=told["device"],
        server=told["server"],
        world=told["world"],
        status=told["status"],
        domain=told["domain"],
        registration=(told["registration"]["username"], told["registration"]["password"]),
        run=f"{int(time.time()) % 100_000_000}",
    )
