"""A box, its server and the world, as processes that one rig starts, breaks and starts again.

The programs are Lokole's own commands, run by forking a process that has imported them already: starting one costs
milliseconds instead of a second, and each is a process of its own that ends as processes end.
A scenario is prepared once, by people at pages and senders outside, and copied for every trial.
"""

from __future__ import annotations

import base64
import contextlib
import ctypes
import faulthandler
import gc
import json
import logging
import os
import shutil
import signal
import socket
import sqlite3
import sys
import time
import traceback
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

from tests.e2e.processes import environment
from tests.person_at import File, PersonAt
from tests.rigs import shim, world
from tests.servers_mail import free_port

DOMAIN = "village.lokole.test"
PASSWORD = "goats eat everything"
REGISTRATION = ("operator", "a long enough password")
PR_SET_PDEATHSIG = 1
#: milliseconds that a program may sleep before it looks again; a box waits a minute for a line to come back
LONGEST_NAP = 100


class Stuck(AssertionError):
    """Something did not happen in time."""


@dataclass
class Program:
    """A forked command."""

    pid: int
    name: str
    out: Path
    control: shim.Control | None = None
    code: int | None = None

    def poll(self) -> int | None:
        """Its exit code, negative for a signal; None while it runs."""
        if self.code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.code = os.waitstatus_to_exitcode(status)
        return self.code

    def wait(self, seconds: float = 60, *, kill: bool = True) -> int:
        """Its exit code; raises Stuck when it does not end in time, and then ends it."""
        end = time.monotonic() + seconds
        while (code := self.poll()) is None:
            if time.monotonic() > end:
                if not kill:
                    raise Stuck(self.name)
                where = self.stacks()
                self.kill()
                raise Stuck(f"{self.name} did not end in {seconds} s: {where}")
            time.sleep(0.002)
        return code

    def kill(self) -> None:
        """End it as a power cut would."""
        if self.poll() is None:
            os.kill(self.pid, signal.SIGKILL)
            _, status = os.waitpid(self.pid, 0)
            self.code = os.waitstatus_to_exitcode(status)

    def stop(self, seconds: float = 20) -> int:
        """End it politely."""
        if self.poll() is None:
            os.kill(self.pid, signal.SIGTERM)
        return self.wait(seconds)

    def said(self) -> str:
        """The end of what it printed."""
        return self.out.read_text(errors="replace")[-2000:]

    def stacks(self) -> str:
        """Where its threads are, for finding out why it does not go on."""
        if self.poll() is None:
            os.kill(self.pid, signal.SIGUSR1)
            time.sleep(0.3)
        return self.said()


@dataclass(frozen=True)
class Ports:
    """Free ports of one rig."""

    http: int
    smtp: int
    pages: int
    world: int

    @staticmethod
    def free() -> Ports:
        found: set[int] = set()
        while len(found) < 4:
            found.add(free_port())
        return Ports(*found)


#: what the commands import, at their beginning and with the first request
_IMPORTED = (
    "smtplib",
    "anyio.streams.tls",
    "httpcore2",
    "jinja2.ext",
    "truststore",
    "uvicorn.lifespan.on",
    "uvicorn.loops.auto",
    "uvicorn.protocols.http.auto",
    "uvicorn.protocols.websockets.auto",
    "uvloop",
    "lokole.adapters.blobs.folder",
    "lokole.adapters.intake.smtp",
    "lokole.adapters.mail_out.smtp",
    "lokole.cli",
    "lokole.device.build",
    "lokole.device.register",
    "lokole.server.build",
    "lokole.webmail.app",
    *(f"lokole.webmail.views.{name}" for name in ("compose", "mailbox", "letter", "admin", "account", "home")),
)


def import_programs() -> None:
    """Everything that the commands import, once, before the first fork."""
    for name in _IMPORTED:
        import_module(name)
    gc.collect()
    gc.freeze()


@dataclass
class Place:
    """``root`` holds everything: ``box`` and ``server`` are data folders, ``world`` is what the world took."""

    root: Path
    ports: Ports
    box_data: Path = field(init=False)
    server_data: Path = field(init=False)
    world: Path = field(init=False)
    extra: dict[str, str] = field(default_factory=dict)
    running: list[Program] = field(default_factory=list)
    _n: int = 0

    def __post_init__(self) -> None:
        self.box_data, self.server_data, self.world = self.root / "box", self.root / "server", self.root / "world"
        self.world.mkdir(parents=True, exist_ok=True)

    @property
    def pages_url(self) -> str:
        return f"http://127.0.0.1:{self.ports.pages}"

    @property
    def box_settings(self) -> dict[str, str]:
        return {
            "LOKOLE_DATA": str(self.box_data),
            "LOKOLE_LISTEN": f"127.0.0.1:{self.ports.pages}",
            "LOKOLE_SERVER_URL": f"http://127.0.0.1:{self.ports.http}",
            "LOKOLE_TIME_ZONE": "UTC",
            "LOKOLE_THREADS": "2",
        }

    @property
    def server_settings(self) -> dict[str, str]:
        return {
            "LOKOLE_DATA": str(self.server_data),
            "LOKOLE_LISTEN": f"127.0.0.1:{self.ports.http}",
            "LOKOLE_SMTP_LISTEN": f"127.0.0.1:{self.ports.smtp}",
            "LOKOLE_HOST_NAME": "lokole.test",
            "LOKOLE_MAIL_OUT": f"smtp://127.0.0.1:{self.ports.world}",
            "LOKOLE_RECIPIENTS_A_DAY": "0",
            "LOKOLE_REGISTRATION_USERNAME": REGISTRATION[0],
            "LOKOLE_REGISTRATION_PASSWORD": REGISTRATION[1],
            "LOKOLE_LEASE": "2s",
            **self.extra,
        }

    # --- programs --------------------------------------------------------------------------------

    def start(
        self,
        *arguments: str,
        settings: Mapping[str, str],
        prepare: Callable[[shim.Control], None] | None = None,
        stopped: bool = False,
    ) -> Program:
        """Begin a command; ``prepare`` says what is to happen to its calls before it begins. ``stopped``: it waits for SIGCONT."""
        self._n += 1
        out = self.root / f"{self._n:03}-{arguments[0]}.log"
        control = shim.Control(self.root / f"{self._n:03}.page")
        control.page.longest_nap = LONGEST_NAP
        if prepare is not None:
            prepare(control)
        pid = os.fork()
        if pid == 0:
            _become(arguments, settings, out, control.path, stopped)
        program = Program(pid, " ".join(arguments), out, control)
        self.running.append(program)
        return program

    def start_server(self, prepare: Callable[[shim.Control], None] | None = None, *, seconds: float = 30) -> Program:
        """``lokole server``, listening on both of its ports."""
        program = self.start("server", settings=self.server_settings, prepare=prepare)
        for port in (self.ports.http, self.ports.smtp):
            _until_listening(program, port, seconds)
        return program

    def start_pages(self, prepare: Callable[[shim.Control], None] | None = None, *, seconds: float = 30) -> Program:
        """``lokole device``, listening."""
        program = self.start("device", settings=self.box_settings, prepare=prepare)
        _until_listening(program, self.ports.pages, seconds)
        return program

    def start_sync(self, prepare: Callable[[shim.Control], None] | None = None, *, stopped: bool = False) -> Program:
        return self.start("sync", "--json", settings=self.box_settings, prepare=prepare, stopped=stopped)

    def sync(self, *, seconds: float = 60) -> dict[str, Any]:
        """One whole ``lokole sync``; what it reported, or what it said instead."""
        program = self.start_sync()
        program.wait(seconds)
        return report(program)

    def stop_all(self) -> None:
        """End everything that still runs, without asking."""
        for program in self.running:
            program.kill()
        self.running.clear()

    # --- copies ----------------------------------------------------------------------------------

    def copy_to(self, root: Path) -> Place:
        """This place as it stands on the disk, somewhere else; nothing may run in it."""
        root.mkdir(parents=True)
        for name in ("box", "server"):
            shutil.copytree(self.root / name, root / name)
        return Place(root, self.ports, extra=dict(self.extra))

    def databases(self) -> tuple[Path, Path]:
        return self.box_data / "lokole.db", self.server_data / "lokole.db"


def report(program: Program) -> dict[str, Any]:
    """What a finished ``lokole sync --json`` printed."""
    for line in program.out.read_text(errors="replace").splitlines():
        if line.startswith("{"):
            found: dict[str, Any] = json.loads(line)
            return found
    return {"result": f"exit {program.code}", "said": program.said()}


def _become(arguments: tuple[str, ...], settings: Mapping[str, str], out: Path, control: Path, stopped: bool) -> None:
    """Be the command, in a process just forked; does not return."""
    code = 70
    try:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        wanted = environment(settings)
        wanted.pop("LD_PRELOAD", None)
        os.environ.clear()
        os.environ.update(wanted)
        opened = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.dup2(opened, 1)
        os.dup2(opened, 2)
        if arguments[0] == "sync":  # which tells its user the last word only
            logging.basicConfig(level=logging.INFO)
        faulthandler.register(signal.SIGUSR1, all_threads=True)
        shim.attach(control)
        if stopped:
            os.kill(os.getpid(), signal.SIGSTOP)
        from lokole.cli import main

        main(args=list(arguments), prog_name="lokole")
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _until_listening(program: Program, port: int, seconds: float) -> None:
    end = time.monotonic() + seconds
    while True:
        with socket.socket() as probe:
            probe.settimeout(2)
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        if program.poll() is not None or time.monotonic() > end:
            raise Stuck(f"{program.name} does not listen on its port: {program.said()}")
        time.sleep(0.005)


@contextmanager
def outside(root: Path, port: int) -> Iterator[Callable[[Path], None]]:
    """The world on ``port``; gives the function that says in which folder it keeps what comes from now on."""
    (root / "current").write_text(str(root))
    pid = os.fork()
    if pid == 0:
        try:
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            world.serve(port, root)
        finally:
            os._exit(0)
    _until_listening(Program(pid, "world", root / "current"), port, 10)

    def keep_in(folder: Path) -> None:
        beside = root / "current.new"
        beside.write_text(str(folder))
        beside.rename(root / "current")

    try:
        yield keep_in
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


# --- people --------------------------------------------------------------------------------------


def sign_up(place: Place, name: str) -> PersonAt:
    """Somebody gets an address at the pages."""
    person = PersonAt(place.pages_url)
    page = person.open("/user/register").fill(name=name, password=PASSWORD).press()
    assert page.path == "/email/inbox", page.text
    return person


def sign_in(place: Place, name: str) -> PersonAt:
    person = PersonAt(place.pages_url)
    page = person.open("/user/login").fill(name=name, password=PASSWORD).press()
    assert page.status == 200, page.text
    assert page.path == "/email/inbox", page.text
    return person


def write(person: PersonAt, token: str, to: str, *, cc: str = "", bcc: str = "", file: bytes | None = None) -> int:
    """Write and send a letter called ``token``; the status of the answer, 200 when the pages say that it is sent."""
    form = person.open("/email/new").fill(to=to, subject=token, body=f"This is {token}.")
    form.fill(cc=cc, bcc=bcc)
    if file is not None:
        form.attach(File("seeds.bin", file))
    page = form.press("send")
    if page.status == 200 and page.path in ("/email/outbox", "/email/sent", "/email/inbox"):
        return 200
    return page.status if page.status != 200 else 599


def register(place: Place, domain: str = DOMAIN) -> str:
    """Register the box at its server; the secret of its webhook."""
    url = f"http://127.0.0.1:{place.ports.http}/api/email/register/"
    pair = base64.b64encode(":".join(REGISTRATION).encode()).decode()
    headers = {"Authorization": f"Basic {pair}", "Content-Type": "application/json"}
    body = json.dumps({"domain": domain}).encode()
    with urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=20):
        pass
    end = time.monotonic() + 30
    while True:
        details: dict[str, Any] = {}
        with contextlib.suppress(urllib.error.HTTPError):  # not prepared yet
            with urllib.request.urlopen(urllib.request.Request(url + domain, headers=headers), timeout=20) as answer:
                details = json.loads(answer.read()) if answer.status == 200 else {}
        if "code" in details:
            break
        if time.monotonic() > end:
            raise Stuck("the server did not prepare the domain")
        time.sleep(0.05)
    program = place.start(
        "device", "register", details["code"], "--server", f"http://127.0.0.1:{place.ports.http}",
        settings=place.box_settings,
    )  # fmt: skip
    assert program.wait() == 0, program.said()
    return str(details["webhook"])


def query(path: Path, statement: str, *values: object) -> list[Any]:
    """Ask a database that others may be writing to."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=30)) as database:
        return database.execute(statement, values).fetchall()


def until_idle(place: Place, *, seconds: float = 40, ahead: float = 0) -> None:
    """Return when the server, whose clock is ``ahead`` seconds ahead, has done all its work that is due."""
    end = time.monotonic() + seconds
    while True:
        rows = query(
            place.databases()[1],
            "SELECT kind, attempts, error FROM job WHERE state = 'ready' AND (lease_until IS NOT NULL OR run_after <= ?)",
            time.time_ns() // 1000 + round((ahead + 30) * 1_000_000),
        )
        if not rows:
            return
        if time.monotonic() > end:
            raise Stuck(f"the server still has work: {rows[:5]}")
        time.sleep(0.01)
