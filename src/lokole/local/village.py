"""Both sides and the outside world, started in order and stopped in reverse; see the package's docstring for the folder."""

from __future__ import annotations

import base64
import contextlib
import fcntl
import http.client
import json
import logging
import os
import secrets
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lokole.adapters.identity.static import StaticIdentity
from lokole.adapters.mail_out.smtp import SmtpMailOut
from lokole.config import Url
from lokole.device.box import Box
from lokole.device.build import Web, open_box, web_app
from lokole.device.register import register
from lokole.device.settings import DeviceSettings
from lokole.local.demo import make_demo
from lokole.local.pages import PageServer, WorldPages
from lokole.local.status import StatusPages
from lokole.local.world import World
from lokole.mail.errors import Refused, Temporary
from lokole.mailbox.options import set_option
from lokole.server.build import UVICORN, build_server
from lokole.server.settings import ServerSettings
from lokole.webmail import setting_up

if TYPE_CHECKING:
    import uvicorn

    from lokole.server.build import Server

log = logging.getLogger(__name__)

HOST = "127.0.0.1"
DOMAIN = "village.lokole.test"
#: seconds a mail server of the world may be silent before a letter is tried again later
WORLD_PATIENCE = 5.0
#: seconds after which stopping stops being polite
STOP_SECONDS = 4.0


@dataclass(frozen=True, slots=True)
class LocalOptions:
    """What ``lokole local`` is told; port 0 takes a free one."""

    data: Path
    device_port: int = 5000
    server_port: int = 8080
    smtp_port: int = 2525
    world_port: int = 8025
    status_port: int = 3000
    registration: str | None = None
    demo: bool = False


@dataclass(frozen=True, slots=True)
class Village:
    """What runs: where each part listens, and who may register domains."""

    box: Box
    server: Server
    world: World
    device_port: int
    server_port: int
    smtp_port: int
    world_port: int
    status_port: int
    domain: str
    registration: tuple[str, str]
    demo: tuple[str, ...] = ()

    def addresses(self) -> dict[str, str]:
        """What people open, by what it is."""
        return _links(box=self.device_port, server=self.server_port, world=self.world_port, status=self.status_port)


def run_local(options: LocalOptions) -> None:
    """Run until Ctrl-C or SIGTERM; prints the addresses and then ``ready``.

    Raises Refused (a port or the folder is taken) and Temporary.
    """
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    over = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: over.set())
    with running(options) as village:
        for name, address in village.addresses().items():
            print(f"{name}: {address}")
        print(f"Mail for the box: smtp://{HOST}:{village.smtp_port} (people at {village.domain})")
        print(f"Registration of further domains: {':'.join(village.registration)}")
        for line in village.demo:
            print(line)
        print("ready", flush=True)
        while not over.wait(1.0):
            pass
        threading.Thread(target=_impatient, daemon=True).start()


def _impatient() -> None:
    """The end comes within seconds, whatever hangs; everything that matters is durable before it is answered."""
    time.sleep(STOP_SECONDS)
    os._exit(0)


@contextmanager
def running(options: LocalOptions) -> Iterator[Village]:
    """All parts for the length of the block; raises as :func:`run_local` does."""
    with ExitStack() as parts:
        data = options.data.absolute()
        data.mkdir(parents=True, exist_ok=True, mode=0o700)
        parts.enter_context(_only_one(data))
        device, api, pages, status = (
            parts.enter_context(_listening(port, name))
            for port, name in (
                (options.device_port, "--device-port"),
                (options.server_port, "--server-port"),
                (options.world_port, "--world-port"),
                (options.status_port, "--status-port"),
            )
        )
        with _listening(options.smtp_port, "--smtp-port") as probe:
            smtp_port = _port(probe)  # the server listens there itself
        ports = {"box": _port(device), "server": _port(api), "world": _port(pages), "status": _port(status)}
        links = _links(**ports)
        registration = _registration(data, options.registration)

        world = World(data / "world", clock=_now, smtp_port=smtp_port)
        world.start()
        parts.callback(world.stop)
        server = parts.enter_context(
            _serving(
                _server_settings(data, ports["server"], smtp_port, ports["status"]),
                registration,
                world,
                api,
                _others(links, "The server"),
            )
        )
        box_settings = DeviceSettings(
            data=data / "box",
            listen=f"{HOST}:{ports['box']}",
            server_url=Url(f"http://{HOST}:{ports['server']}"),
            domain=DOMAIN,
        )
        box = parts.enter_context(open_box(box_settings))
        _register(box, ports["server"], registration)
        with box.ports.database.write() as tx:  # it is set up: nobody is led through it
            set_option(tx, box.tenant, setting_up.OPTION, setting_up.DONE)
        web = Web(web_app(box, links=tuple(_others(links, "The box").items())), box_settings, sockets=[device])
        _in_thread(parts, "box", web.run, web.stop)
        box.timetable.start()
        parts.callback(box.timetable.stop)

        world_pages = WorldPages(world, domain=lambda: box.row().domain, links=_others(links, "The outside world"))
        status_pages = StatusPages(
            server.ports,
            endpoint=f"http://localhost:{ports['server']}",
            links=_others(links, "Boxes and pings"),
            targets={
                "The server": ports["server"],
                "The box": ports["box"],
            },
        )
        for served in (PageServer(pages, world_pages.get, world_pages.post), PageServer(status, status_pages.get)):
            served.start()
            parts.callback(served.stop)

        village = Village(
            box=box,
            server=server,
            world=world,
            device_port=ports["box"],
            server_port=ports["server"],
            smtp_port=smtp_port,
            world_port=ports["world"],
            status_port=ports["status"],
            domain=box.row().domain,
            registration=registration,
            demo=tuple(make_demo(box, world, data / "demo")) if options.demo else (),
        )
        _write_private(data / "local.json", json.dumps(_told(village), indent=2) + "\n")
        yield village


# --- parts ---------------------------------------------------------------------------------------


@contextmanager
def _serving(
    settings: ServerSettings,
    registration: tuple[str, str],
    world: World,
    listener: socket.socket,
    links: dict[str, str],
) -> Iterator[Server]:
    import uvicorn

    server = build_server(
        settings,
        mail_out=SmtpMailOut(HOST, world.smtp_port, timeout=WORLD_PATIENCE),
        identity=StaticIdentity(*registration),
        links=links,
    )
    config = uvicorn.Config(server.app, **UVICORN, timeout_graceful_shutdown=1, loop="asyncio")
    http_server = uvicorn.Server(config)

    def run() -> None:
        http_server.run(sockets=[listener])

    thread = threading.Thread(target=run, name="server", daemon=True)
    thread.start()
    try:
        _wait_for(lambda: _started(http_server, thread), "the server did not start")
        yield server
    finally:
        http_server.should_exit = True
        thread.join(STOP_SECONDS)
        server.stop()


def _started(server: uvicorn.Server, thread: threading.Thread) -> bool:
    if not thread.is_alive():
        raise Temporary("the server did not start; its log says why")
    return server.started


def _server_settings(data: Path, port: int, smtp_port: int, status_port: int) -> ServerSettings:
    return ServerSettings(
        # who may register is told to the server beside; nobody knows these two
        registration_username=secrets.token_urlsafe(12),
        registration_password=secrets.token_urlsafe(12),
        mail_out=Url("recorder:"),  # the world stands in for it
        recipients_a_day=0,  # and takes whatever comes
        data=data / "server",
        listen=f"{HOST}:{port}",
        smtp_listen=f"{HOST}:{smtp_port}",
        host_name="localhost",
        console=True,
        status_origins=f"http://localhost:{status_port} http://{HOST}:{status_port}",
    )


def _in_thread(parts: ExitStack, name: str, run: Callable[[], None], stop: Callable[[], None]) -> None:
    thread = threading.Thread(target=run, name=name, daemon=True)
    thread.start()

    def end() -> None:
        stop()
        thread.join(STOP_SECONDS)

    parts.callback(end)


def _register(box: Box, port: int, registration: tuple[str, str]) -> None:
    """Give the box its place, over HTTP as an operator and a box do it; does nothing on a folder that has it."""
    if box.row().state == "claimed":
        return
    api = _Api(port, registration)
    status, _ = api.call("POST", "/api/email/register/", {"domain": DOMAIN})
    if status not in (201, 409):  # 409: a start that was broken off had come as far as this
        raise Refused(f"the server did not register the box (it answered {status})", code="register")
    code: list[str] = []

    def is_ready() -> bool:
        status, details = api.call("GET", f"/api/email/register/{DOMAIN}")
        if status == 200 and isinstance(details, dict) and details.get("code"):
            code.append(str(details["code"]))
        return bool(code)

    _wait_for(is_ready, "the server did not prepare the place of the box")
    register(box, code[0], server_url=None)


class _Api:
    """The registration API as an operator calls it."""

    def __init__(self, port: int, registration: tuple[str, str]) -> None:
        self._port = port
        pair = base64.b64encode(":".join(registration).encode()).decode("ascii")
        self._headers = {"Authorization": f"Basic {pair}", "Content-Type": "application/json"}

    def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> tuple[int, Any]:
        line = http.client.HTTPConnection(HOST, self._port, timeout=10)
        try:
            line.request(method, path, None if body is None else json.dumps(body), self._headers)
            response = line.getresponse()
            content = response.read()
        except (OSError, http.client.HTTPException) as error:
            raise Temporary("the server does not answer") from error
        finally:
            line.close()
        with contextlib.suppress(ValueError):
            return response.status, json.loads(content)
        return response.status, None


# --- the folder and the ports --------------------------------------------------------------------


@contextmanager
def _only_one(data: Path) -> Iterator[None]:
    with (data / "lock").open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Refused(f"another `lokole local` uses {data}", code="busy") from error
        yield


@contextmanager
def _listening(port: int, option: str) -> Iterator[socket.socket]:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, port))
        except OSError as error:
            raise Refused(f"port {port} is taken; choose another with {option}", code="port") from error
        listener.listen(128)
        yield listener


def _port(listener: socket.socket) -> int:
    number: int = listener.getsockname()[1]
    return number


def _registration(data: Path, given: str | None) -> tuple[str, str]:
    """Who may register domains: as given, as on the last start, or made up; kept in the folder."""
    path = data / "registration"
    text = given or (path.read_text("utf-8").strip() if path.exists() else f"operator:{secrets.token_urlsafe(12)}")
    user, colon, password = text.partition(":")
    if not user or not colon or not password:
        raise Refused("--registration is USER:PASSWORD", code="registration")
    _write_private(path, f"{text}\n")
    return user, password


def _write_private(path: Path, text: str) -> None:
    beside = path.with_name(path.name + ".new")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    beside.chmod(0o600)
    beside.rename(path)


def _links(*, box: int, server: int, world: int, status: int) -> dict[str, str]:
    return {
        "The box": f"http://localhost:{box}/",
        "The server": f"http://localhost:{server}/",
        "The outside world": f"http://localhost:{world}/",
        "Boxes and pings": f"http://localhost:{status}/",
    }


def _others(links: dict[str, str], name: str) -> dict[str, str]:
    return {other: url for other, url in links.items() if other != name}


def _told(village: Village) -> dict[str, Any]:
    return {
        "device": village.addresses()["The box"],
        "server": village.addresses()["The server"],
        "world": village.addresses()["The outside world"],
        "status": village.addresses()["Boxes and pings"],
        "smtp_host": HOST,
        "smtp_port": village.smtp_port,
        "domain": village.domain,
        "registration": {"username": village.registration[0], "password": village.registration[1]},
        "pid": os.getpid(),
    }


def _wait_for(is_so: Callable[[], bool], otherwise: str, *, seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > deadline:
            raise Temporary(otherwise)
        time.sleep(0.05)


def _now() -> datetime:
    return datetime.now(UTC)
