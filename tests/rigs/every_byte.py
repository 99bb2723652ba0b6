"""P4: the line between a box and its server is cut after every single byte, up and down, and nothing is lost, doubled or sent twice but a chunk.

The real box and the real server in one process: the bytes of the real client go to the real ASGI application, and the line is cut
after so many bytes of a whole visit. So the cut falls into every request and every answer: lists, packages of 20 kB, answers that
nobody hears, acknowledgements that are lost. Then the box goes on, and both ends and the world are looked at.
``python -m tests.rigs.every_byte`` does all offsets; ``--tcp`` does some of them over a real connection to a real server process.
"""

from __future__ import annotations

import argparse
import functools
import gc
import os
import random
import shutil
import socket
import sqlite3
import struct
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, cast

from sqlalchemy import event

from lokole.adapters.blobs.memory import MemoryBlobStore
from lokole.adapters.identity.static import StaticIdentity
from lokole.adapters.sync_peer.http import HttpSyncPeer
from lokole.adapters.sync_peer.line import Line
from lokole.adapters.uplink.always import AlwaysUplink
from lokole.config import Url
from lokole.device.box import Box, DevicePorts
from lokole.device.register import register
from lokole.device.settings import DeviceSettings
from lokole.mail.model import Attachment, Contact, DeviceId, Email, EmailNo
from lokole.mailbox import accounts, attachments, letters
from lokole.mailbox.database import Database
from lokole.mailbox.identity import next_email_id
from lokole.mailbox.migrate import migrate
from lokole.ports.identity import Caller
from lokole.ports.mail_out import MailOut
from lokole.server import devices
from lokole.server.app import make_streamed_app
from lokole.server.build import UVICORN, build_server
from lokole.server.intake import accept
from lokole.server.keys import server_public
from lokole.server.settings import ServerSettings
from lokole.simulate.link import Request, Socket, Town
from lokole.sync.container import PayloadKind
from lokole.sync.signing import encode_key
from lokole.testing import CountedEntropy, FrozenClock
from tests.rigs import inside

DOMAIN = "village.lokole.test"
CHUNK = 16 * 1024
#: bytes of the file of each letter; its package is a little more than 20 kB
FILE_BYTES = 19_600
SIDES = ("up", "down")
OPERATOR = Caller("operator", may_override=True)


@dataclass(frozen=True)
class Cut:
    """Where the line is cut: while a letter goes ``way``, after ``at`` bytes of what goes over the line to ``side``."""

    way: str
    side: str
    at: int


@dataclass
class Told:
    """What went over the line in a trial; of packages the bytes of bodies that arrived, parts of them included."""

    up: int = 0
    down: int = 0
    package_up: int = 0
    package_down: int = 0
    connections: int = 0
    requests: list[Request] = field(default_factory=list)
    cut: Cut | None = None

    def was_cut(self) -> bool:
        return self.cut is None


class Outside:
    """The world: takes every letter."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.messages: list[bytes] = []

    def send(self, *, sender: str, recipient: str, message: bytes) -> None:
        self.sent.append(recipient)
        self.messages.append(message)

    def forget(self) -> None:
        self.sent.clear()
        self.messages.clear()


class CutLine(Line):
    """A line to the application that is cut once."""

    def __init__(self, town: Town, told: Told) -> None:
        super().__init__("http://server.invalid", idle_seconds=60, monotonic=lambda: 0.0)
        self._town = town
        self._told = told

    def _connect(self, deadline: float) -> HTTPConnection:
        line = self

        class Connection(HTTPConnection):
            def connect(self) -> None:
                self.sock = cast(Any, Socket(cast(Any, line)))

        return Connection("server.invalid")

    def exchange(self, sent: bytes) -> bytes:
        """The bytes of the answer to those of a request, as far as they come."""
        told, cut = self._told, self._told.cut
        end = sent.index(b"\r\n\r\n") + 4
        until = len(sent)
        if cut is not None and cut.side == "up" and told.up + len(sent) > cut.at:
            until, told.cut = cut.at - told.up, None
        told.up += until
        if until < end:
            raise BrokenPipeError("cut")
        first, *lines = sent[: end - 4].decode("latin-1").split("\r\n")
        method, target, _ = first.split(" ", 2)
        headers = tuple((name, value.strip()) for name, _, value in (line.partition(":") for line in lines))
        request = Request(method, target, headers, sent[end:until], complete=until == len(sent))
        if "/packages/" in target:
            told.package_up += until - end
        if until == len(sent):
            told.requests.append(request)
        answer = self._town.call(request)
        if until < len(sent):
            raise BrokenPipeError("cut")
        whole = answer.as_bytes()
        if method == "HEAD":
            whole = whole[: whole.index(b"\r\n\r\n") + 4]
        cut = told.cut
        if cut is not None and cut.side == "down" and told.down + len(whole) > cut.at:
            whole, told.cut = whole[: cut.at - told.down], None
        told.down += len(whole)
        if method == "GET" and "/packages/" in target:
            told.package_down += max(0, len(whole) - answer.as_bytes().index(b"\r\n\r\n") - 4)
        return whole


class Kept:
    """A database in memory (a file on tmpfs) and its blobs, that go back to what they were."""

    def __init__(self, database: Database, path: Path) -> None:
        self.database = database
        self._path = path
        self.blobs = MemoryBlobStore()
        self._kept: dict[str, dict[str, bytes]] = {}
        event.listen(database.engine, "connect", lambda connection, _: connection.execute("PRAGMA synchronous=OFF"))

    def remember(self, name: str) -> None:
        with closing(sqlite3.connect(self._path)) as here, closing(sqlite3.connect(self._copy(name))) as there:
            here.backup(there)
        self._kept[name] = {key: self.blobs.read(key) for key in self.blobs.list()}

    def go_back(self, name: str) -> None:
        self.database.engine.dispose()
        for suffix in ("-wal", "-shm"):
            self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)
        shutil.copyfile(self._copy(name), self._path)
        for key in list(self.blobs.list()):
            if key not in self._kept[name]:
                self.blobs.delete(key)
        for key, content in self._kept[name].items():
            self.blobs.put(key, content)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self._path)) as connection:
            return connection.execute(query).fetchall()

    def _copy(self, name: str) -> Path:
        return self._path.with_name(f"{name}.copy")


class World:
    """A box of a village with one person, its server, and what the world got."""

    def __init__(self, folder: Path, seed: int, mail_out: MailOut | None = None) -> None:
        self.folder = folder
        self.clock = FrozenClock()
        self.told = Told()
        self.outside = Outside()
        self._dice = random.Random(seed)
        for name in ("server", "box"):
            (folder / name).mkdir(parents=True)
            migrate(f"sqlite:///{folder / name / 'lokole.db'}")
        self.server = Kept(Database(f"sqlite:///{folder / 'server' / 'lokole.db'}"), folder / "server" / "lokole.db")
        self.box_side = Kept(Database(f"sqlite:///{folder / 'box' / 'lokole.db'}"), folder / "box" / "lokole.db")
        settings = ServerSettings(
            registration_username="operator",
            registration_password="nobody's",
            mail_out=Url("recorder:"),
            recipients_a_day=0,
            data=folder / "server",
            smtp_listen="off",
            jobs=Url("inline:"),
        )
        self.entropy = CountedEntropy(seed)
        built = build_server(
            settings,
            clock=self.clock,
            entropy=self.entropy,
            mail_out=mail_out or self.outside,
            shrink=lambda content, limits: None,
            blobs=self.server.blobs,
            identity=StaticIdentity("operator", "nobody's"),
            web=False,
        )
        self.ports = built.ports
        self.server.database = self.ports.database
        event.listen(
            self.ports.database.engine, "connect", lambda connection, _: connection.execute("PRAGMA synchronous=OFF")
        )
        self.app = make_streamed_app(self.ports)
        self.town = Town(lambda: self.app)
        self.proxy: Proxy | None = None
        self.remember("blank")
        self.restart_box()
        devices.register(self.ports, OPERATOR, DOMAIN)
        self.claim()
        assert self.box.sync().result == "ok"
        assert self.box.sync().result == "ok"
        self.remember("idle")
        self.write("seeds", self._file())
        self.remember("up")
        self.go_back("idle")
        self.receive("seeds", self._file())
        self.remember("down")

    def restart_box(self) -> None:
        """The box as it begins on the disk that is in it."""
        self.box = Box(self._box_ports(), DeviceSettings(data=self.folder / "box", domain="lokole.local"), zone=UTC)

    def claim(self) -> None:
        """The box takes the place that waits for it; ann signs up."""
        code = devices.details(self.ports, OPERATOR, DOMAIN).code
        assert code is not None
        register(self.box, code, server_url="http://server.invalid")
        with self.box.ports.database.write() as tx:
            accounts.create_account(tx, self.box.tenant, "ann", password_hash=None, now=self.clock())

    def _box_ports(self) -> DevicePorts:
        def claim(_url: str, code: str, key: bytes) -> tuple[DeviceId, str, bytes]:
            row = devices.claim(self.ports, code, encode_key(key), [int(kind) for kind in PayloadKind])
            return row.device_id, row.domain, server_public(self.ports)

        return DevicePorts(
            database=self.box_side.database,
            blobs=self.box_side.blobs,
            clock=self.clock,
            entropy=self.entropy,
            shrink=lambda content, limits: None,
            uplink=AlwaysUplink(),
            peer=lambda url, row, seed, counter: HttpSyncPeer(
                url if self.proxy is None else f"http://127.0.0.1:{self.proxy.port}",
                device_id=row.device_id,
                seed=seed,
                counter=counter,
                on_twin=counter.twin_seen,
                idle_seconds=10.0,
                line=CutLine(self.town, self.told) if self.proxy is None else None,
            ),
            claim=claim,
            spool=self.folder / "box",
            pause=lambda seconds: None,
        )

    def remember(self, name: str) -> None:
        self.server.remember(f"server-{name}")
        self.box_side.remember(f"box-{name}")

    def go_back(self, name: str) -> None:
        self.server.go_back(f"server-{name}")
        self.box_side.go_back(f"box-{name}")
        for path in (self.folder / "box").glob("*.part"):
            path.unlink()
        self.outside.forget()
        self.told.__init__()  # type: ignore[misc]

    def _file(self) -> Attachment:
        return Attachment("seeds.bin", self._dice.randbytes(FILE_BYTES))

    def write(
        self,
        subject: str,
        *files: Attachment,
        to: tuple[Contact, ...] = (Contact("bob@example.org"),),
        cc: tuple[Contact, ...] = (),
        bcc: tuple[Contact, ...] = (),
    ) -> EmailNo:
        """Ann writes to somebody outside."""
        ports = self.box.ports
        with ports.database.read() as tx:
            writer = accounts.find_account(tx, self.box.tenant, "ann")
        assert writer is not None
        stored = attachments.put_attachments(ports.blobs, writer.domain, files)
        email = Email(sender=Contact(str(writer.address)), to=to, cc=cc, bcc=bcc, subject=subject, body="<p>here</p>")
        with ports.database.write() as tx:
            id_ = next_email_id(tx, self.box.row().device_id)
            return letters.write_letter(
                tx, self.box.tenant, writer, email, id=id_, now=self.clock(), attachments=stored
            )

    def receive(self, subject: str, *files: Attachment) -> None:
        """Somebody outside writes to ann."""
        from email.message import EmailMessage
        from email.policy import SMTP

        message = EmailMessage(policy=SMTP)
        message["From"], message["To"], message["Subject"] = "bob@example.org", f"ann@{DOMAIN}", subject
        message["Date"], message["Message-ID"] = (
            "Mon, 23 Nov 2026 10:00:00 +0000",
            f"<{subject.replace(' ', '-')}@example.org>",
        )
        message.set_content("here\n")
        for file in files:
            message.add_attachment(file.content, maintype="application", subtype="octet-stream", filename=file.filename)
        accept(self.ports, "bob@example.org", (f"ann@{DOMAIN}",), message.as_bytes())

    # --- a trial ---------------------------------------------------------------------------------

    def lengths(self) -> dict[tuple[str, str], int]:
        """How many bytes go over the line, by way and side, when nothing is cut."""
        found = {}
        for way in SIDES:
            self.go_back(way)
            assert self.box.sync().result == "ok"
            wrong = self.judge(way)
            assert wrong == [], wrong
            found[way, "up"], found[way, "down"] = self.told.up, self.told.down
        return found

    def run(self, cut: Cut, *, replay: bool = False) -> list[str]:
        """Cut, go on until all is said; what is wrong then. ``replay`` says every request once more at the end, in another order."""
        self.go_back(cut.way)
        self.told.cut = cut
        said = []
        for _ in range(4):
            report = self.box.sync()
            said.append(report.result)
            if report.result == "ok" and report.waiting == 0 and self.told.was_cut() and self._waits() == 0:
                break
        wrong = [] if said[-1] == "ok" else [f"the visits ended {said}"]
        wrong += self.judge(cut.way)
        if replay:
            old = list(self.told.requests)
            self._dice.shuffle(old)
            for request in old:
                self.town.call(request)
            wrong += [f"after a replay: {one}" for one in self.judge(cut.way)]
            if self.box.sync().result != "ok":
                wrong.append("after a replay the box meets no server")
        return wrong

    def _waits(self) -> int:
        (count,) = self.server.rows("SELECT count(*) FROM waiting WHERE state <> 'delivered'")[0]
        return int(count)

    def judge(self, way: str) -> list[str]:
        """What is lost, doubled or was sent again."""
        wrong = []
        sent = len(self.outside.sent)
        inbox, files, box_waits, box_apart = self.box_side.rows(
            "SELECT (SELECT count(*) FROM entry WHERE folder = 'inbox' AND NOT deleted), (SELECT count(*) FROM attachment),"
            " (SELECT count(*) FROM waiting WHERE state <> 'delivered'), (SELECT count(*) FROM quarantine)"
        )[0]
        server_waits, server_apart, parts, up, down = self.server.rows(
            "SELECT (SELECT count(*) FROM waiting WHERE state <> 'delivered'), (SELECT count(*) FROM quarantine),"
            f" (SELECT count(*) FROM upload_part), {_size('up')}, {_size('down')}"
        )[0]
        if (sent, inbox) != ((1, 0) if way == "up" else (0, 1)):
            wrong.append(f"the world got {sent}, the inbox has {inbox}")
        if way == "down" and files != 1:
            wrong.append(f"{files} files came")
        if server_waits or box_waits:
            wrong.append("something waits")
        if server_apart or box_apart:
            wrong.append("something is set apart")
        if parts or list((self.folder / "box").glob("*.part")):
            wrong.append("parts are left")
        if self.proxy is None:
            for one, came, size in (("up", self.told.package_up, up), ("down", self.told.package_down, down)):
                again = came - size + self._size_before(way, one)
                if again > CHUNK:
                    wrong.append(f"{again} bytes of packages went {one} again")
        return wrong

    @functools.cache  # noqa: B019  # a world lives as long as its program
    def _size_before(self, way: str, side: str) -> int:
        """The bytes of all packages that the server knew before."""
        with closing(sqlite3.connect(self.folder / "server" / f"server-{way}.copy")) as connection:
            return int(connection.execute(f"SELECT {_size(side)}").fetchone()[0])

    def close(self) -> None:
        self.town.close()
        self.ports.database.close()
        self.box.ports.database.close()


def _size(side: str) -> str:
    return f"(SELECT coalesce(sum(size), 0) FROM package WHERE direction = '{side}')"


class Proxy:
    """Between a real connection of the box and a real server: cuts once, after so many bytes one way; counts both ways."""

    def __init__(self, server_port: int, told: Told, seed: int) -> None:
        self._server_port = server_port
        self._told = told
        self._dice = random.Random(seed)
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                box, _ = self._listener.accept()
            except OSError:
                return
            self._told.connections += 1
            server = socket.create_connection(("127.0.0.1", self._server_port))
            for source, target, side in ((box, server, "up"), (server, box, "down")):
                threading.Thread(target=self._carry, args=(source, target, side), daemon=True).start()

    def _carry(self, source: socket.socket, target: socket.socket, side: str) -> None:
        with suppress(OSError):
            while piece := source.recv(65536):
                with self._lock:
                    cut = self._told.cut
                    so_far = getattr(self._told, side)
                    here = cut is not None and cut.side == side and so_far + len(piece) > cut.at
                    if here and cut is not None:
                        piece, self._told.cut = piece[: cut.at - so_far], None
                    setattr(self._told, side, so_far + len(piece))
                target.sendall(piece)
                if here:
                    if self._dice.random() < 0.5:  # a reset instead of an end
                        source.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    break
        for one in (source, target):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def close(self) -> None:
        self._listener.close()


@contextmanager
def over_tcp(made: World, seed: int) -> Iterator[World]:
    """``made``, its server behind a real socket and a proxy that cuts."""
    import uvicorn

    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = uvicorn.Config(made.app, **(UVICORN | {"lifespan": "off"}))
        runner = uvicorn.Server(config)
        thread = threading.Thread(target=runner.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        while not runner.started and thread.is_alive():
            time.sleep(0.01)
        made.proxy = Proxy(int(listener.getsockname()[1]), made.told, seed)
        try:
            yield made
        finally:
            made.proxy.close()
            made.proxy = None
            runner.should_exit = True
            thread.join(10)


@contextmanager
def world(seed: int, mail_out: MailOut | None = None) -> Iterator[World]:
    """A world in memory; letters leave it by ``mail_out``, or are only counted."""
    memory = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(prefix="lokole-rig-", dir=memory if os.access(memory, os.W_OK) else None))
    made = World(folder, seed, mail_out)
    try:
        yield made
    finally:
        made.close()
        shutil.rmtree(folder, ignore_errors=True)


def cuts(lengths: dict[tuple[str, str], int], *, every: int = 1, first: int = 0) -> list[Cut]:
    """Every offset of every stream, or every so manieth."""
    return [
        Cut(way, side, at)
        for (way, side), length in sorted(lengths.items())
        for at in range(first % every, length, every)
    ]


def arguments() -> argparse.Namespace:
    parser = inside.arguments("every_byte", seconds=1740, named=False)
    parser.add_argument("--every", type=int, default=1, help="only every so manieth offset")
    parser.add_argument("--tcp", type=int, default=400, help="so many cuts over TCP besides")
    return parser.parse_args()


def do(seed: int, worker: int, options: argparse.Namespace, began: float) -> dict[str, int]:
    """One worker's share: all its offsets in this process, then some over TCP."""
    figures = {"asked": 0, "trials": 0, "tcp": 0, "replayed": 0, "bad": 0}
    with world(seed) as made:
        # each worker of a seed has the same bytes, so that their shares make the whole
        mine = cuts(made.lengths(), every=options.every)[worker :: options.workers]
        figures["asked"] = len(mine)
        dice = random.Random(seed + worker)
        dice.shuffle(mine)
        # all that stays is made: the collector need not look through it again and again
        gc.collect()
        gc.freeze()
        gc.set_threshold(20_000)
        for cut in mine:
            if time.monotonic() - began > options.seconds:
                break
            replay = dice.random() < 0.02
            _count(figures, "trials", cut, made.run(cut, replay=replay))
            figures["replayed"] += replay
        share = cuts(made.lengths())
        with over_tcp(made, seed + worker) as connected:
            for cut in dice.sample(share, options.tcp // options.workers):
                if time.monotonic() - began > options.seconds + 100:
                    break
                _count(figures, "tcp", cut, connected.run(cut))
    return figures


def _count(figures: dict[str, int], what: str, cut: Cut, wrong: list[str]) -> None:
    figures[what] += 1
    inside.note_wrong(figures, f"{what} {cut}", wrong)


def main() -> int:
    """All offsets, shared out to workers."""
    return inside.run("cut", arguments(), do)


if __name__ == "__main__":
    sys.exit(main())
