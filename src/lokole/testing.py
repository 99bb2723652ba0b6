"""Fixtures and finders that tests share, public so that others can test against Lokole too.

Importing it does nothing; the programs never import it.
"""

from __future__ import annotations

import hashlib
import os
import threading
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lokole.device.box import Box
    from lokole.ports.blobs import BlobStore
    from lokole.ports.sync_peer import SyncPeer


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
