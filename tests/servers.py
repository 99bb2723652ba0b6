"""Real PostgreSQL, Azurite and moto (which speaks like S3) for tests.

Each is a context manager with a free port and a folder of its own that is removed at the end.
What a machine cannot start skips the test with a sentence; where CI is set it fails instead.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from http.client import HTTPConnection
from importlib.util import find_spec
from itertools import count
from pathlib import Path

from tests.servers_mail import cannot_start, free_port, wait_for_port

_ROOT = Path(__file__).parent.parent
#: Azurite's one account and its key are public: they are in its documentation
AZURITE_ACCOUNT = "devstoreaccount1"
AZURITE_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
_QUIET = ("--silent", "--skipApiVersionCheck", "--disableTelemetry")
_SETTINGS = ("-c", "listen_addresses=127.0.0.1", "-c", "shared_buffers=32MB")
# no test here cuts the power: the durability of PostgreSQL is its own
_FORGETFUL = ("-c", "fsync=off")


@dataclass
class Postgres:
    """A running PostgreSQL; every :meth:`new_database` is its own. It can be killed and started again."""

    port: int
    _numbers: Iterator[int]
    _command: list[str]
    _folder: Path
    _process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process above all of its processes."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start it, and wait until it answers."""
        for attempt in range(30):
            with (self._folder / "log").open("ab") as log:
                self._process = subprocess.Popen(self._command, stdout=log, stderr=log, cwd=self._folder)
            try:
                wait_for_port(self.port, self._process)
            except RuntimeError:
                # sessions of a server that was killed end by themselves, and it waits for them
                if attempt == 29:
                    raise
                time.sleep(0.2)
                continue
            _wait_until_it_answers(self)
            return

    def kill(self) -> None:
        """End it as a power cut would end the program: the system still has what it wrote."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def stop(self) -> None:
        """End the sessions and stop."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def new_database(self, template: str | None = None) -> str:
        """The URL of a fresh database: empty, or a copy of the one at ``template`` (to which nobody may be connected)."""
        import psycopg

        name = f"lokole_{next(self._numbers)}"
        source = "template0" if template is None else template.rpartition("/")[2]
        with psycopg.connect(self._url("postgres"), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{source}"'.encode())
        return self._url(name)

    def _url(self, name: str) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/{name}"


@contextmanager
def postgres(*, durable: bool = False) -> Iterator[Postgres]:
    """A PostgreSQL cluster of its own, as user ``postgres`` when we are root (the server refuses root).

    ``durable`` lets it flush what it commits, as a real one does.
    """
    programs = _newest_postgres()
    port = free_port()
    folder = Path(tempfile.mkdtemp(prefix="lokole-postgres-"))
    try:
        prefix: list[str] = []
        if os.geteuid() == 0:
            try:
                owner = pwd.getpwnam("postgres")
            except KeyError:
                cannot_start("PostgreSQL refuses root, and there is no user postgres (`make setup-test` makes one).")
            os.chown(folder, owner.pw_uid, owner.pw_gid)
            prefix = ["setpriv", f"--reuid={owner.pw_uid}", f"--regid={owner.pw_gid}", "--clear-groups"]
        data = folder / "data"
        subprocess.run(
            [
                *prefix,
                programs / "initdb",
                "-D",
                data,
                "-U",
                "postgres",
                "-A",
                "trust",
                "-E",
                "UTF8",
                "--no-locale",
                "-N",
            ],
            check=True,
            capture_output=True,
            cwd=folder,
        )
        command = [*prefix, f"{programs}/postgres", "-D", str(data), "-p", str(port), "-k", str(folder), *_SETTINGS]
        command += () if durable else _FORGETFUL
        server = Postgres(port, count(1), command, folder)
        try:
            server.start()
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@dataclass(frozen=True)
class Azurite:
    """A running Azurite. ``endpoint`` is what a store is told, ``account_key`` its secret."""

    port: int
    pid: int
    account: str = AZURITE_ACCOUNT
    account_key: str = AZURITE_KEY

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}/{self.account}"

    def new_container(self, name: str) -> str:
        """Make a container; returns the URL that ``open_blobs`` takes. An existing one is emptied by nobody."""
        path = f"/{self.account}/{name}"
        date = format_datetime(datetime.now(UTC), usegmt=True)
        headers = {"x-ms-date": date, "x-ms-version": "2021-12-02", "Content-Length": "0"}
        # Shared Key: verb, eleven empty headers, the x-ms headers, then the resource (its account is named twice here)
        text = (
            "PUT" + "\n" * 12 + f"x-ms-date:{date}\nx-ms-version:2021-12-02\n/{self.account}{path}\nrestype:container"
        )
        digest = hmac.new(base64.b64decode(self.account_key), text.encode(), hashlib.sha256).digest()
        headers["Authorization"] = f"SharedKey {self.account}:{base64.b64encode(digest).decode()}"
        connection = HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request("PUT", f"{path}?restype=container", headers=headers)
            status = connection.getresponse().status
        finally:
            connection.close()
        if status not in (201, 409):
            raise RuntimeError(f"Azurite answered {status} when asked for a container")
        return f"azure://{self.account}/{name}?endpoint={self.endpoint}"


@contextmanager
def azurite() -> Iterator[Azurite]:
    """Azurite's blob service, from the npm packages of this repository."""
    script = _ROOT / "node_modules/.bin/azurite-blob"
    node = shutil.which("node", path=f"{_ROOT / '.venv/bin'}:{os.environ.get('PATH', '')}")
    if node is None or not script.exists():
        cannot_start("Azurite or node is not installed here (`make setup-test` installs both).")
    port = free_port()
    folder = Path(tempfile.mkdtemp(prefix="lokole-azurite-"))
    process = subprocess.Popen(
        [node, str(script), "--blobHost", "127.0.0.1", "--blobPort", str(port), "--location", str(folder), *_QUIET],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=folder,
        start_new_session=True,
    )
    try:
        wait_for_port(port, process, seconds=60)
        yield Azurite(port, process.pid)
    finally:
        # node is started by a small Python program: the whole group goes
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        shutil.rmtree(folder, ignore_errors=True)


@dataclass
class S3:
    """A running moto, which takes any key for its own."""

    port: int
    key: str = "a-name:a-secret"

    def new_bucket(self, name: str) -> str:
        """Make a bucket; returns the URL as ``LOKOLE_BLOBS`` has it."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request("PUT", f"/{name}")
            status = connection.getresponse().status
        finally:
            connection.close()
        if status != 200:
            raise RuntimeError(f"moto answered {status} when asked for a bucket")
        return f"s3://{name}?endpoint=http://127.0.0.1:{self.port}&region=eu-central-1"


@contextmanager
def s3() -> Iterator[S3]:
    """Moto as a server of its own; what is stored in it is gone with it."""
    if find_spec("moto") is None:
        cannot_start("moto is not installed here (`make setup-test` installs it).")
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for_port(port, process, seconds=120)
        yield S3(port)
    finally:
        process.terminate()
        process.wait(30)


def _newest_postgres() -> Path:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
    if found:
        return found[-1].parent
    plain = shutil.which("initdb")
    if plain is None:
        cannot_start("PostgreSQL is not installed here (`make setup-test` installs it).")
    return Path(plain).parent


def _wait_until_it_answers(server: Postgres) -> None:
    import psycopg

    for _ in range(100):
        try:
            psycopg.connect(server._url("postgres"), connect_timeout=5).close()
            return
        except psycopg.OperationalError:  # "the database system is starting up"
            time.sleep(0.1)
    raise RuntimeError("PostgreSQL did not come up")
