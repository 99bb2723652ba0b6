"""Fixtures and finders that tests share, public so that others can test against Lokole too.

Importing it does nothing; the programs never import it.
"""

from __future__ import annotations

import hashlib
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lokole.adapters.mail_out.recorder import RecorderMailOut
    from lokole.device.box import Box
    from lokole.mailbox.tenants import TenantRow
    from lokole.ports.blobs import BlobStore
    from lokole.ports.sync_peer import SyncPeer
    from lokole.server.build import Server


def shared_dir() -> Path | None:
    """The folder of shared test data (real mail, hostile files), or None where it is missing.

    ``LOKOLE_TEST_SHARED`` names it; without that it is ``../shared`` beside the repository.
    A test that finds None runs on the smaller samples of ``tests/mail-data`` and says so.
    """
    named = os.environ.get("LOKOLE_TEST_SHARED")
    folder = Path(named) if named else Path(__file__).resolve().parents[3] / "shared"
    return folder if folder.is_dir() else None


class FrozenClock:
    """A clock that stands still until a test moves it; call it for the time now."""

    def __init__(self, now: datetime | None = None) -> None:
        self.now = now or datetime(2026, 11, 23, 10, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **parts: float) -> datetime:
        """Let time pass, as in ``clock.advance(hours=1)``; negative parts turn it back."""
        self.now += timedelta(**parts)
        return self.now


class CountedEntropy:
    """Bytes that are the same in every run with the same ``seed`` and never the same twice within one."""

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed
        self._n = 0
        self._lock = threading.Lock()

    def __call__(self, size: int) -> bytes:
        made = b""
        while len(made) < size:
            with self._lock:
                self._n += 1
                n = self._n
            made += hashlib.sha256(f"{self.seed}:{n}".encode()).digest()
        return made[:size]


def make_box(
    folder: Path,
    *,
    peer: SyncPeer,
    clock: FrozenClock | None = None,
    entropy: CountedEntropy | None = None,
    blobs: BlobStore | None = None,
    domain: str = "village.lokole.test",
    zone: tzinfo = UTC,
    registered: bool = True,
) -> Box:
    """A box in ``folder`` that meets ``peer``; with ``registered`` it has its place at a server already.

    The caller closes its database (``box.ports.database.close()``). The same folder again is the same box after a restart.
    """
    from sqlalchemy import update

    from lokole.adapters.blobs.folder import FolderBlobStore
    from lokole.adapters.uplink.always import AlwaysUplink
    from lokole.device.box import SERVER_OPTION, Box, DevicePorts
    from lokole.device.settings import DeviceSettings
    from lokole.mail.model import DeviceId
    from lokole.mailbox import schema
    from lokole.mailbox.database import Database
    from lokole.mailbox.migrate import is_current, migrate
    from lokole.mailbox.options import set_option

    settings = DeviceSettings(data=folder, domain=domain)
    if not is_current(settings.database_url):
        migrate(settings.database_url)
    ports = DevicePorts(
        database=Database(settings.database_url),
        blobs=blobs or FolderBlobStore(folder / "blobs"),
        clock=clock or FrozenClock(),
        entropy=entropy or CountedEntropy(),
        shrink=lambda content, limits: None,
        uplink=AlwaysUplink(),
        peer=lambda url, row, seed, counter: peer,
        claim=lambda url, code, key: (DeviceId("claimed-device"), domain),
        spool=folder,
    )
    box = Box(ports, settings, zone=zone)
    if registered:
        with ports.database.write() as tx:
            tx.execute(update(schema.tenant).where(schema.tenant.c.no == box.tenant).values(state="claimed"))
            set_option(tx, box.tenant, SERVER_OPTION, "http://in-process.invalid")
    return box


@dataclass
class Village:
    """A server and one registered box of it in this process, on one clock that a test moves.

    ``outside`` recorded what left for the world. Nothing works by itself: the server's work is done at the end of every call,
    the box leaves when :meth:`let_pass` says that time has passed, or at ``box.sync()``.
    """

    server: Server
    box: Box
    clock: FrozenClock
    outside: RecorderMailOut
    url: str

    def let_pass(self, *, minutes: int, step: int = 15) -> int:
        """Let time pass in steps of ``step`` minutes, asking the box each time whether it is due; returns how often it left."""
        left = 0
        for _ in range(0, minutes, step):
            self.clock.advance(minutes=step)
            left += self.box.timetable.tick()
        return left

    def row(self) -> TenantRow:
        """The row of the box on the server, as it is now."""
        from lokole.mailbox import tenants

        with self.server.ports.database.read() as tx:
            found = tenants.find_tenant(tx, device_id=self.box.row().device_id)
        assert found is not None
        return found

    def write_from_outside(self, raw: bytes, *, sender: str, recipients: list[str]) -> None:
        """A message reaches the server by SMTP's use case; durable when it returns, and worked off."""
        from lokole.server.intake import accept

        accept(self.server.ports, sender, tuple(recipients), raw)


@contextmanager
def village(
    folder: Path,
    *,
    clock: FrozenClock | None = None,
    entropy: CountedEntropy | None = None,
    domain: str = "village.lokole.test",
    zone: tzinfo = UTC,
) -> Iterator[Village]:
    """A :class:`Village` in ``folder``; box and server speak over loopback, everything else is injected.

    The same folder again is the same village after a restart.
    """
    import uvicorn

    from lokole.adapters.blobs.folder import FolderBlobStore
    from lokole.adapters.mail_out.recorder import RecorderMailOut
    from lokole.adapters.sync_peer import http
    from lokole.adapters.uplink.always import AlwaysUplink
    from lokole.config import Url
    from lokole.device.box import Box, DevicePorts
    from lokole.device.register import register
    from lokole.device.settings import DeviceSettings
    from lokole.mailbox.database import Database
    from lokole.mailbox.migrate import migrate
    from lokole.ports.identity import Caller
    from lokole.server import devices
    from lokole.server.build import UVICORN, build_server
    from lokole.server.settings import ServerSettings

    clock, entropy = clock or FrozenClock(), entropy or CountedEntropy()
    outside = RecorderMailOut()
    server = build_server(
        ServerSettings(
            registration_username="operator",
            registration_password="a password of nobody",  # noqa: S106  # guards nothing: loopback, in a test
            mail_out=Url("recorder:"),
            recipients_a_day=0,
            data=folder / "server",
            smtp_listen="off",
            jobs=Url("inline:"),
        ),
        clock=clock,
        entropy=entropy,
        mail_out=outside,
        shrink=lambda content, limits: None,
        web=False,
    )
    with socket.socket() as listener, ExitStack() as parts:
        listener.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        runner = uvicorn.Server(uvicorn.Config(server.app, **UVICORN))
        thread = threading.Thread(target=runner.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()

        def end() -> None:
            runner.should_exit = True
            thread.join(10)
            server.ports.database.close()

        parts.callback(end)
        while not runner.started and thread.is_alive():
            time.sleep(0.01)

        settings = DeviceSettings(data=folder / "box", domain="lokole.local")
        (folder / "box").mkdir(parents=True, exist_ok=True)
        migrate(settings.database_url)
        database = Database(settings.database_url)
        parts.callback(database.close)
        box = Box(
            DevicePorts(
                database=database,
                blobs=FolderBlobStore(folder / "box" / "blobs"),
                clock=clock,
                entropy=entropy,
                shrink=lambda content, limits: None,
                uplink=AlwaysUplink(),
                peer=lambda to, row, seed, counter: http.HttpSyncPeer(
                    url, device_id=row.device_id, seed=seed, counter=counter, on_twin=counter.twin_seen
                ),
                claim=lambda to, code, key: http.claim(url, code=code, public_key=key),
                spool=folder / "box",
            ),
            settings,
            zone=zone,
        )
        if box.row().state != "claimed":
            operator = Caller("operator", may_override=True)
            devices.register(server.ports, operator, domain)
            code = devices.details(server.ports, operator, domain).code
            assert code is not None
            register(box, code, server_url=url)
        yield Village(server, box, clock, outside, url)
