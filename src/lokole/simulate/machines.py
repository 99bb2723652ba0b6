"""The machines of a simulation: boxes and the server, which can lose their power at any step and are started anew from their disks.

A machine that is switched on is made of the real objects (``Box``; ``ServerPorts``, ``Worker``, the ASGI application).
When the power goes they are dropped, and whatever of them still runs can do nothing more to the disk.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from starlette.types import ASGIApp

from lokole.adapters.dns.memory import MemoryDns
from lokole.adapters.identity.static import StaticIdentity
from lokole.adapters.intake.none import NoIntake
from lokole.adapters.sync_peer import http
from lokole.adapters.uplink.always import AlwaysUplink
from lokole.config import Url
from lokole.device.box import Box, DevicePorts
from lokole.device.settings import DeviceSettings
from lokole.mail.errors import Temporary
from lokole.mail.model import DeviceId
from lokole.mailbox.identity import ensure_identity
from lokole.mailbox.migrate import migrate
from lokole.server import devices
from lokole.server.app import make_streamed_app
from lokole.server.bell import Doorbell
from lokole.server.keys import server_public
from lokole.server.ports import ServerPorts
from lokole.server.settings import ServerSettings
from lokole.server.sweep import Sweeper
from lokole.server.worker import Worker
from lokole.simulate.disk import Disk, FaultyBlobs, FaultyDatabase
from lokole.simulate.faults import Chaos, PowerCut
from lokole.simulate.link import Request, SimulatedLine, Town
from lokole.simulate.outside import MailServers
from lokole.sync.container import PayloadKind
from lokole.sync.signing import encode_key

START = datetime(2026, 1, 5, 6, 0, tzinfo=UTC)
#: where a clock may jump to
NONSENSE = (
    lambda now: datetime(1970, 1, 1, tzinfo=UTC),
    lambda now: datetime(2038, 1, 19, 3, 14, 8, tzinfo=UTC),
    lambda now: now + timedelta(days=3652),
    lambda now: now - timedelta(days=3652),
    lambda now: now - timedelta(days=2),
)


@dataclass
class World:
    """What all machines of a simulation share: the true time, the faults, the trace, a folder."""

    seed: str
    folder: Path
    chaos: Chaos
    tell: Callable[[str], None]
    now: datetime = START

    def let_pass(self, **parts: float) -> None:
        """Let time pass, as in ``let_pass(hours=1)``."""
        self.now += timedelta(**parts)

    def new_disk(self, name: str) -> Disk:
        """An empty database of this release."""
        template = self.folder / "template.db"
        if not template.exists():
            migrate(f"sqlite:///{template}")
        path = self.folder / f"{name}.db"
        shutil.copyfile(template, path)
        return Disk(path)


class SeededEntropy:
    """Bytes that only the seed decides."""

    def __init__(self, seed: str) -> None:
        self._seed = seed
        self._n = 0

    def __call__(self, size: int) -> bytes:
        made = b""
        while len(made) < size:
            self._n += 1
            made += hashlib.sha256(f"{self._seed}:{self._n}".encode()).digest()
        return made[:size]


class Machine:
    """A machine with a disk, a clock of its own and a switch; ``pool`` is the one of its faults (``box`` or ``server``)."""

    def __init__(self, world: World, name: str, pool: str, disk: Disk) -> None:
        self.world = world
        self.name = name
        self.put_in(disk)
        self.boots = 0
        self.wrong_by = timedelta()
        self._pool = pool
        self._switch = Switch()
        self._full = 0

    def put_in(self, disk: Disk) -> None:
        """Take ``disk``; the machine must be off."""
        self.disk = disk
        self.database = FaultyDatabase(disk)

    @property
    def is_on(self) -> bool:
        return self._switch.on

    def clock(self) -> datetime:
        """The time as this machine has it."""
        return self.world.now + self.wrong_by

    def set_right(self) -> None:
        """Somebody, or the network, sets the clock."""
        self.wrong_by = timedelta()

    def entropy(self) -> SeededEntropy:
        """Randomness that no other machine, and no other start of this one, has."""
        return SeededEntropy(f"{self.world.seed}:{self.name}:{self.boots}")

    def switch_on(self) -> Callable[[str], None]:
        """A new start; returns the step function of its disk."""
        self.boots += 1
        self._full = 0
        switch = self._switch = Switch()
        switch.on = True

        def step(where: str) -> None:
            if not switch.on:
                raise PowerCut
            self._step(where)

        return step

    def switch_off(self) -> None:
        """The power goes; what still runs can do nothing more."""
        self._switch.on = False

    def take_away(self) -> None:
        """Off, and nothing of it is open any more."""
        self.switch_off()
        self.database.close()

    def die(self) -> None:
        """A power cut at this very step."""
        self.switch_off()
        raise PowerCut

    def _step(self, where: str) -> None:
        if self._full:
            self._full -= 1
            if where in ("commit", "put"):
                raise Temporary("the disk is full")
        fault = self.world.chaos.at(self._pool, f"{self.name} {where}")
        if fault is None:
            return
        if fault.kind.endswith("-dies"):
            self.die()
        elif fault.kind.endswith("-full"):
            self._full = 1 + int(fault.dice * 12)
            if where in ("commit", "put"):
                raise Temporary("the disk is full")
        elif fault.kind.endswith("-clock"):
            to = NONSENSE[int(fault.dice * len(NONSENSE))](self.world.now)
            self.wrong_by = to - self.world.now
            self.world.tell(f"{self.name}: its clock says {to:%Y-%m-%d %H:%M}")


class Switch:
    """Whether one start of a machine still has power."""

    def __init__(self) -> None:
        self.on = False


class ServerMachine(Machine):
    """The server; :meth:`reach` gives its application, starting it anew when it is off."""

    def __init__(self, world: World, mail_out: MailServers) -> None:
        super().__init__(world, "server", "server", world.new_disk("server"))
        self._mail_out = mail_out
        self.settings = ServerSettings(
            registration_username="operator",
            registration_password="nobody's",  # noqa: S106  # guards nothing: there is no network
            mail_out=Url("recorder:"),
            recipients_a_day=0,
            data=world.folder,
            smtp_listen="off",
            jobs=Url("rows:"),
            workers=0,
        )
        self.start()

    def start(self) -> None:
        """Switch it on; the objects of the last start are gone."""
        step, entropy = self.switch_on(), self.entropy()
        self.database.switch_on(step)
        self.ports = ServerPorts(
            settings=self.settings,
            database=self.database,
            blobs=FaultyBlobs(self.disk, step),
            clock=self.clock,
            entropy=entropy,
            shrink=lambda content, limits: None,
            mail_out=self._mail_out,
            dns=MemoryDns(),
            intake=NoIntake(),
            identity=StaticIdentity("operator", "nobody's"),
            resolver=MemoryDns(),
            bell=Doorbell(),
        )
        with self.database.write() as tx:
            ensure_identity(tx, entropy)
        self._app = make_streamed_app(self.ports)
        self._worker = Worker(self.ports, threads=0)
        self._sweeper = Sweeper(self.ports)

    def reach(self) -> ASGIApp:
        """Its application; an operator, or systemd, has started it anew when it was off."""
        if not self.is_on:
            self.restart()
        return self._app

    def _step(self, where: str) -> None:
        if where == "committed":
            self._mail_out.noted()
        try:
            super()._step(where)
        except BaseException:
            self._mail_out.not_noted()
            raise

    def restart(self) -> None:
        """Off and on again; its clock is set from the network then."""
        self.switch_off()
        self.set_right()
        for _ in range(5):
            try:
                self.start()
            except (PowerCut, Temporary):
                self.switch_off()
                continue
            self.world.tell("server: started anew")
            return
        raise AssertionError("no start in five without a fault")

    def work(self, most: int = 1_000_000) -> None:
        """Do what is due, at most ``most`` pieces; a power cut or a database that takes nothing ends it."""
        self.reach()
        try:
            self._worker.work_off(most)
        except PowerCut:
            self.world.tell("server: power cut over its work")
        except Temporary:
            self.world.tell("server: its worker could not look for work")

    def sweep(self) -> None:
        """What the worker does once an hour."""
        self.reach()
        try:
            self._sweeper.sweep()
        except PowerCut:
            self.world.tell("server: power cut while it swept")
        except Temporary:
            self.world.tell("server: it could not sweep")


class BoxMachine(Machine):
    """A box of the village; :attr:`box` is there while it is on."""

    def __init__(self, world: World, name: str, disk: Disk, town: Town, server: ServerMachine) -> None:
        super().__init__(world, name, "box", disk)
        self._town = town
        self._server = server
        self._requests: list[Request] = []
        self.box: Box
        self.ensure_on()  # a copied card may lose its power at its first start

    def start(self) -> None:
        """Switch it on; its clock is what it was, or right again when there is a network."""
        step = self.switch_on()
        self.database.switch_on(step)
        spool = self.world.folder / f"{self.disk.path.stem}-spool"
        spool.mkdir(exist_ok=True)
        ports = DevicePorts(
            database=self.database,
            blobs=FaultyBlobs(self.disk, step),
            clock=self.clock,
            entropy=self.entropy(),
            shrink=lambda content, limits: None,
            uplink=AlwaysUplink(),
            peer=lambda url, row, seed, counter: http.HttpSyncPeer(
                url,
                device_id=row.device_id,
                seed=seed,
                counter=counter,
                on_twin=counter.twin_seen,
                monotonic=lambda: 0.0,
                line=SimulatedLine(self._town, self.world.chaos, self._tell, self._requests),
            ),
            claim=self._claim,
            spool=spool,
            pause=lambda seconds: self.world.let_pass(seconds=seconds),
        )
        self.box = Box(ports, DeviceSettings(data=spool, domain=f"{self.name}.local"))

    def ensure_on(self) -> Box:
        """The box, started anew when it was off."""
        for _ in range(6):
            if self.is_on:
                return self.box
            try:
                self.start()
            except (PowerCut, Temporary):
                self.switch_off()
                continue
            self._tell("started anew")
        assert self.is_on, "no start in five without a fault"
        return self.box

    def reboot(self) -> None:
        """Off and on again."""
        self.switch_off()
        self.ensure_on()

    def _claim(self, _url: str, code: str, public_key: bytes) -> tuple[DeviceId, str, bytes]:
        reads = [int(kind) for kind in PayloadKind]
        row = devices.claim(self._server.ports, code, encode_key(public_key), reads)
        return row.device_id, row.domain, server_public(self._server.ports)

    def _tell(self, what: str) -> None:
        self.world.tell(f"{self.name}: {what}")
