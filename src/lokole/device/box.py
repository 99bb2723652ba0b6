"""One box as its parts see it: its ports, its row, its exchange. Chooses no adapter (``device/build.py`` does)."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, tzinfo
from pathlib import Path
from uuid import UUID

from lokole.device.health import note_health
from lokole.device.lock import OneAtATime
from lokole.device.run_sync import run_sync
from lokole.device.settings import DeviceSettings
from lokole.device.signer import RequestCounter, device_seed
from lokole.device.timetable import Timetable
from lokole.mail.errors import Refused, Temporary
from lokole.mail.model import DeviceId, SyncReport, TenantNo
from lokole.mailbox import days
from lokole.mailbox.database import Connection, Database
from lokole.mailbox.deleted import empty_deleted
from lokole.mailbox.identity import ensure_identity
from lokole.mailbox.options import get_option, set_option
from lokole.mailbox.tenants import TenantRow, add_tenant, get_tenant, list_tenants
from lokole.mailbox.town_limits import note_limits
from lokole.mailbox.unnamed import sweep_unnamed
from lokole.mailbox.visits import End
from lokole.ports.blobs import BlobStore
from lokole.ports.callables import Clock, Entropy, Shrink
from lokole.ports.machine import LookAtMachine, MachineState
from lokole.ports.sync_peer import SyncPeer
from lokole.ports.uplink import Uplink
from lokole.sync.compression import Compression
from lokole.webmail import setting_up

SERVER_OPTION = "server_url"

#: makes the other end of an exchange: (server's address, row of this box, its seed, its counter)
PeerMaker = Callable[[str, TenantRow, bytes, RequestCounter], SyncPeer]
#: claims a row: (server's address, code, public key) to (device id, domain, and the server's public key where it has one)
Claim = Callable[[str, str, bytes], tuple[DeviceId, str] | tuple[DeviceId, str, bytes | None]]


@dataclass(frozen=True, slots=True)
class DevicePorts:
    """What a box asks of the outside. ``spool`` is a folder for what is being packed, and for what came in part.

    Without it the former lies where the system has it, and nothing of the latter is kept. ``pause`` waits for so many seconds.
    ``free_bytes`` is the room that is left for letters, None where nobody knows; ``machine`` is asked what is wrong with it before each visit.
    """

    database: Database
    blobs: BlobStore
    clock: Clock
    entropy: Entropy
    shrink: Shrink
    uplink: Uplink
    peer: PeerMaker
    claim: Claim
    spool: Path | None = None
    pause: Callable[[float], None] | None = None
    free_bytes: Callable[[], int | None] = lambda: None
    machine: LookAtMachine = MachineState


class Box:
    """A box whose database is up to date; makes its identity at its first start."""

    def __init__(
        self, ports: DevicePorts, settings: DeviceSettings, *, zone: tzinfo = UTC, lock: OneAtATime | None = None
    ) -> None:
        self.ports = ports
        self.settings = settings
        self.zone = zone
        self.lock = lock or OneAtATime(None)
        with ports.database.write() as tx:
            ensure_identity(tx, ports.entropy)
            self.seed = device_seed(tx, ports.entropy)
            self.tenant: TenantNo = self._first_tenant(tx)
        self.timetable = Timetable(
            database=ports.database,
            tenant=self.tenant,
            clock=ports.clock,
            zone=zone,
            leave=self._leave if settings.uplink != "none:" else None,
            tidy=self.tidy,
        )

    def row(self) -> TenantRow:
        """The row of this box as it is now: its domain, its device id, whether it is registered."""
        with self.ports.database.read() as tx:
            return get_tenant(tx, self.tenant)

    def server_url(self) -> str | None:
        """Where the server of this box is, or None while it does not know any."""
        if self.settings.server_url is not None:
            return self.settings.server_url
        with self.ports.database.read() as tx:
            found = get_option(tx, self.tenant, SERVER_OPTION, None)
        return found if isinstance(found, str) else None

    def sync(self) -> SyncReport:
        """Meet the server once; what went wrong stands in the report, whatever it was."""
        started = self.ports.clock()
        row, url = self.row(), self.server_url()
        if row.state != "claimed" or url is None:
            return SyncReport(
                started,
                result=End.UNREGISTERED,
                detail="This box is not registered at a server; see `lokole device register`.",
            )
        try:
            with self.lock.held():
                row = self.row()  # it may have got another place meanwhile
                self.note_health()
                counter = RequestCounter(self.ports.database, self.tenant, self.ports.clock, self.ports.entropy)
                return run_sync(
                    database=self.ports.database,
                    blobs=self.ports.blobs,
                    clock=self.ports.clock,
                    uplink=self.ports.uplink,
                    peer=self.ports.peer(url, row, self.seed, counter),
                    tenant=row,
                    entropy=self.ports.entropy,
                    compression=Compression(self.settings.compression.value),
                    spool=self.ports.spool,
                    pause=self.ports.pause,
                    seed=self.seed,
                )
        except Refused as error:
            return SyncReport(started, result=error.code, detail=str(error))
        except Temporary as error:
            # this end's own database takes nothing, so that not even the visit could be written down
            return SyncReport(started, result=End.STORAGE, detail=str(error))

    def sync_in_background(self) -> str:
        """Begin an exchange and return at once: ``started``, or ``busy`` when one is under way."""
        if self.lock.is_held_here():
            return "busy"
        threading.Thread(target=self.sync, name="sync", daemon=True).start()
        return "started"

    def note_health(self) -> None:
        """Let how this box is, and what it bounds, travel with its next package, when it is not as the server knows it."""
        machine = self.ports.machine()  # a modem may take seconds to answer, and a writer holds up the others
        with self.ports.database.write() as tx:
            note_limits(tx, self.tenant)
            row, now, free_bytes = get_tenant(tx, self.tenant), self.ports.clock(), self.ports.free_bytes()
            note_health(tx, row, now, free_bytes, self.zone, machine)

    def tidy(self) -> int:
        """Empty what was deleted long ago, and let files go that no letter has named for weeks; returns how many files."""
        row = self.row()
        with self.ports.database.write() as tx:
            days.note_day(tx, row.no, self.ports.clock().astimezone(self.zone).date())
            now = days.as_moment(days.today(tx, row.no))
        empty_deleted(self.ports.database, row.no, now)
        return sweep_unnamed(self.ports.database, self.ports.blobs, row.no, row.domain, now)

    def _leave(self) -> None:
        report = self.sync()
        if report.result not in (End.OK, End.UNREGISTERED):
            raise Temporary(f"{report.result}: {report.detail}")

    def _first_tenant(self, tx: Connection) -> TenantNo:
        for row in list_tenants(tx):
            return row.no
        entropy = self.ports.entropy
        no = add_tenant(
            tx,
            domain=self.settings.domain,
            device_id=str(UUID(bytes=entropy(16), version=4)),
            state="waiting",
            webhook_secret=hashlib.sha256(entropy(32)).hexdigest(),
            now=self.ports.clock(),
        )
        set_option(tx, no, setting_up.OPTION, setting_up.STEPS[0])  # the first administrator is led through it
        return no
