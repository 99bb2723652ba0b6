"""Settings become a running box: the only file of the device that chooses adapters.

One process: waitress with its threads, the clock that asks (APScheduler), an exchange in a thread of its own.
Migrations run in a short process of their own, so that the memory of Alembic does not stay.
"""

from __future__ import annotations

import logging
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, tzinfo
from types import FrameType
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from lokole import __version__
from lokole.adapters.blobs.open import open_blobs
from lokole.adapters.machine.linux import LinuxMachine
from lokole.adapters.mobile_networks.serviceproviders import ServiceProviders
from lokole.adapters.shrink.subprocess import SubprocessShrink
from lokole.adapters.sync_peer import http
from lokole.adapters.updater.program import ProgramUpdater
from lokole.adapters.uplink.always import AlwaysUplink
from lokole.adapters.uplink.none import NoUplink
from lokole.config import BadSettings
from lokole.device.box import Box, DevicePorts
from lokole.device.carrying import Carrier
from lokole.device.lock import OneAtATime
from lokole.device.packing import find_server_key
from lokole.device.settings import DeviceSettings, split_listen
from lokole.device.signer import RequestCounter
from lokole.mail.errors import Temporary
from lokole.mailbox.database import Database
from lokole.mailbox.identity import get_secret
from lokole.mailbox.migrate import is_current
from lokole.mailbox.options import get_option, set_option
from lokole.mailbox.tenants import TenantRow
from lokole.ports.callables import Shrink
from lokole.ports.sync_peer import SyncPeer
from lokole.ports.uplink import Uplink
from lokole.sync.bundle import MAX_BUNDLE_BYTES
from lokole.sync.signing import encode_key

if TYPE_CHECKING:
    from flask import Flask

log = logging.getLogger(__name__)

SESSION_SECRET = "session-key"  # noqa: S105  # the name of the row, not the key
COST_OPTION = "bcrypt_cost"
#: of LOKOLE_DATA; whoever copies the box touches it (docs/operate-device.md)
COPIED = "copied"
#: what checking one password may take on this machine, in seconds
PATIENCE_PER_PASSWORD = 0.25
COOKIE = "lokole_box"


@contextmanager
def open_box(settings: DeviceSettings) -> Iterator[Box]:
    """The box of ``settings``, its database up to date; raises Temporary when that cannot be had now."""
    settings.data.mkdir(parents=True, exist_ok=True, mode=0o700)
    bring_up_to_date(settings.database_url)
    database = Database(settings.database_url)
    shrink = SubprocessShrink()
    try:
        yield Box(
            device_ports(settings, database, shrink),
            settings,
            zone=time_zone(settings),
            lock=OneAtATime(settings.data / "exchange.lock"),
        )
    finally:
        shrink.close()
        database.close()


def device_ports(settings: DeviceSettings, database: Database, shrink: Shrink) -> DevicePorts:
    """The adapters that ``settings`` choose."""
    spool = settings.data / "spool"
    spool.mkdir(mode=0o700, parents=True, exist_ok=True)
    uplinks: dict[str, Uplink] = {"always:": AlwaysUplink(), "none:": NoUplink()}
    return DevicePorts(
        database=database,
        blobs=open_blobs(settings.blobs_url),
        clock=lambda: datetime.now(UTC),
        entropy=os.urandom,
        shrink=shrink,
        uplink=uplinks[settings.uplink],
        peer=_http_peer,
        claim=lambda url, code, key: http.claim(url, code=code, public_key=key),
        spool=spool,
        pause=time.sleep,
        free_bytes=lambda: shutil.disk_usage(settings.data).free,
        machine=LinuxMachine(settings.data / COPIED),
    )


def _http_peer(url: str, row: TenantRow, seed: bytes, counter: RequestCounter) -> SyncPeer:
    return http.HttpSyncPeer(url, device_id=row.device_id, seed=seed, counter=counter, on_twin=counter.twin_seen)


def bring_up_to_date(url: str) -> None:
    """Migrate the database in a process of its own when it is not at this version's schema."""
    if is_current(url):
        return
    done = subprocess.run(
        [sys.executable, "-m", "lokole", "migrate", "--database", url], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        said = (done.stderr.strip().splitlines() or ["no reason was given"])[-1]
        raise Temporary(f"the database could not be brought up to date: {said}")


def time_zone(settings: DeviceSettings) -> tzinfo:
    """The zone of the schedule; raises BadSettings when nobody knows the one that is named."""
    if settings.time_zone is None:
        # knows where each system keeps it; comes with APScheduler
        from tzlocal import get_localzone

        return get_localzone()
    try:
        return ZoneInfo(settings.time_zone)
    except (KeyError, ValueError, OSError) as error:
        raise BadSettings(
            [f"LOKOLE_TIME_ZONE cannot be “{settings.time_zone}”: no such zone is known here."]
        ) from error


def key_lines(settings: DeviceSettings) -> list[str]:
    """What opens packages for this box, as `lokole package read --key` takes it: its secret, and the server's public key when it has one."""
    with open_box(settings) as box:
        with box.ports.database.read() as tx:
            server = find_server_key(tx, box.tenant)
        return [encode_key(one) for one in (box.seed, server) if one is not None]


def web_app(box: Box, *, links: tuple[tuple[str, str], ...] = ()) -> Flask:
    """The pages of ``box``; ``links`` are further addresses that its start page names."""
    from lokole.device.register import register
    from lokole.device.room import room_of
    from lokole.webmail.app import OneTenant, WebmailPorts, WebmailSettings, create_app

    settings, row = box.settings, box.row()
    has_uplink = settings.uplink != "none:"

    def claim(code: str, server: str | None) -> tuple[str, str]:
        register(box, code, server_url=box.settings.server_url or server)
        claimed = box.row()
        return claimed.device_id, claimed.domain

    return create_app(
        WebmailPorts(
            database=box.ports.database,
            blobs=box.ports.blobs,
            clock=box.ports.clock,
            entropy=box.ports.entropy,
            shrink=box.ports.shrink,
            origin=row.device_id,
            sync_now=box.sync_in_background if has_uplink else None,
            next_departure=box.timetable.next_departure if has_uplink else None,
            check_schedule=box.timetable.check,
            carrier=Carrier(box),
            register=claim if has_uplink else None,
            server_url=box.server_url,
            room=lambda whole: room_of(settings, whole=whole),
            tidy=box.tidy,
            mobile_networks=ServiceProviders(settings.mobile_networks),
            updater=updater_of(box),
        ),
        WebmailSettings(
            session_key=session_key(box),
            cookie_name=COOKIE,
            template_cache=settings.data / "templates",
            prefix=settings.path_prefix.rstrip("/"),
            secure_cookie=settings.https,
            default_language=settings.language,
            time_zone=str(box.zone),
            rows_per_page=settings.page_size,
            max_upload_bytes=settings.max_upload_mb * 2**20,
            bcrypt_cost=password_cost(box),
            sign_up=settings.can_sign_up,
            password_change=settings.can_change_password,
            search=settings.can_search,
            pictures=settings.pictures,
            address=settings.address or "",
            links=links,
        ),
        OneTenant(box.tenant, row.domain),
    )


def updater_of(box: Box) -> ProgramUpdater | None:
    """What brings a new version of this box; None when no program for it is set."""
    command = box.settings.update_command
    if command is None:
        return None
    return ProgramUpdater(command, box.settings.data / "update", clock=box.ports.clock, version=__version__)


def session_key(box: Box) -> bytes:
    """What cookies are signed with: the setting, or this box's own."""
    if box.settings.session_key is not None:
        return box.settings.session_key.encode()
    with box.ports.database.write() as tx:
        return get_secret(tx, SESSION_SECRET, lambda: box.ports.entropy(32))


def password_cost(box: Box) -> int:
    """The cost of bcrypt that this machine can bear, measured once, at least 10."""
    from lokole.mailbox.passwords import MIN_COST

    with box.ports.database.read() as tx:
        known = get_option(tx, box.tenant, COST_OPTION, None)
    if isinstance(known, int) and known >= MIN_COST:
        return known
    cost = _measured_cost(MIN_COST)
    with box.ports.database.write() as tx:
        set_option(tx, box.tenant, COST_OPTION, cost)
    return cost


def _measured_cost(least: int) -> int:
    from lokole.mailbox.passwords import hash_password

    started = time.perf_counter()
    hash_password("how long does this take here?", least)
    seconds = time.perf_counter() - started
    cost = least
    while seconds * 2 <= PATIENCE_PER_PASSWORD and cost < least + 4:
        seconds *= 2
        cost += 1
    return cost


class Web:
    """The pages over waitress; :meth:`run` returns after :meth:`stop`, which any thread may call."""

    def __init__(self, app: Flask, settings: DeviceSettings, *, sockets: list[Any] | None = None) -> None:
        from waitress.server import create_server

        logging.getLogger("waitress.queue").setLevel(logging.ERROR)  # a full queue is not news on a small machine
        options: dict[str, Any] = {
            "threads": settings.threads,
            "ident": None,
            "max_request_body_size": max(4 * settings.max_upload_mb * 2**20, MAX_BUNDLE_BYTES + 2**20),
            "inbuf_overflow": 128 * 1024,
            "outbuf_overflow": 256 * 1024,
            "channel_timeout": 60,
            "connection_limit": 200,
        }
        if settings.trusted_proxy is not None:
            options |= {
                "trusted_proxy": settings.trusted_proxy,
                "trusted_proxy_count": 1,
                "trusted_proxy_headers": {"x-forwarded-for", "x-forwarded-proto", "x-forwarded-host"},
            }
        if sockets is not None:
            options["sockets"] = sockets
        else:
            host, port = split_listen(settings.listen)
            options |= {"host": host, "port": port}
        self._server = create_server(app, clear_untrusted_proxy_headers=True, **options)

    def run(self) -> None:
        self._server.run()

    def stop(self) -> None:
        from waitress import wasyncore

        server: Any = self._server
        sockets = (
            getattr(server, "map", None) or server._map
        )  # one socket, or several for a name with several addresses
        server.task_dispatcher.shutdown(cancel_pending=True, timeout=2)
        trigger = next(one for one in list(sockets.values()) if hasattr(one, "pull_trigger"))
        # the loop ends when nothing is left to wait for; it must be told in its own thread
        trigger.pull_trigger(lambda: wasyncore.close_all(sockets, ignore_all=True))


def serve(settings: DeviceSettings) -> None:
    """Run the box until SIGTERM or Ctrl-C."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("apscheduler").setLevel(logging.WARNING)
    _keep_one_heap()
    with open_box(settings) as box:
        row = box.row()
        web = Web(web_app(box), settings)
        box.timetable.start()

        def leave(_signal: int, _frame: FrameType | None) -> None:
            raise SystemExit(0)

        signal.signal(signal.SIGTERM, leave)
        registered = f"it is {row.domain}" if row.state == "claimed" else "it is not registered at a server yet"
        log.info("the box listens on %s; %s", settings.listen, registered)
        try:
            web.run()
        finally:
            box.timetable.stop()


def _keep_one_heap() -> None:
    """Let glibc's threads share one heap, as MALLOC_ARENA_MAX=1 does: each further one keeps megabytes that nobody uses.

    Another C library has no such thing and needs none.
    """
    import ctypes

    m_arena_max = -8  # malloc.h
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).mallopt(m_arena_max, 1)


__all__ = ["Web", "bring_up_to_date", "open_box", "serve", "session_key", "time_zone", "web_app"]
