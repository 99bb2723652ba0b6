"""Real RabbitMQ for tests: a broker with free ports, a folder and an Erlang port mapper of its own.

It can be killed and started again on the same ports with the same queues, as after a power cut.
What a machine cannot start skips the test with a sentence; where CI is set it fails instead.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from tests.servers_mail import cannot_start, free_port, wait_for_port

_PROGRAM = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")


@dataclass
class RabbitMq:
    """A RabbitMQ; ``url`` names it as LOKOLE_JOBS does, :meth:`new_queue` each time with another queue."""

    port: int
    folder: Path
    settings: dict[str, str]
    process: subprocess.Popen[bytes] | None = None
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))

    @property
    def url(self) -> str:
        return f"amqp://guest@127.0.0.1:{self.port}/"

    def new_queue(self) -> str:
        """The URL of a queue that nobody has used."""
        return f"{self.url}?queue=work-{os.getpid()}-{next(self._numbers)}"

    def start(self) -> None:
        """Start it, and wait until it listens."""
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [str(_PROGRAM)],
                env={**os.environ, **self.settings},
                stdout=log,
                stderr=log,
                cwd=self.folder,
                start_new_session=True,
            )
        try:
            wait_for_port(self.port, self.process, seconds=90)
        except RuntimeError as error:
            error.add_note((self.folder / "log").read_text(errors="replace")[-3000:])
            raise

    def kill(self) -> None:
        """End it as a power cut would."""
        if self.process is None:
            return
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.process = None


@contextmanager
def rabbitmq() -> Iterator[RabbitMq]:
    """A running RabbitMQ; its user ``guest`` may come from this machine only."""
    if not _PROGRAM.exists():
        cannot_start("RabbitMQ is not installed here (`make setup-test` installs it).")
    folder = Path(tempfile.mkdtemp(prefix="lokole-rabbitmq-"))
    ports = [free_port() for _ in range(3)]
    settings = {
        "HOME": str(folder),
        "RABBITMQ_NODENAME": f"lokole-{ports[0]}@localhost",
        "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
        "RABBITMQ_NODE_PORT": str(ports[0]),
        "RABBITMQ_DIST_PORT": str(ports[1]),
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "ERL_EPMD_PORT": str(ports[2]),
        "RABBITMQ_MNESIA_BASE": str(folder / "data"),
        "RABBITMQ_LOG_BASE": str(folder / "logs"),
        "RABBITMQ_PID_FILE": str(folder / "pid"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
    }
    (folder / "plugins").touch()
    broker = RabbitMq(ports[0], folder, settings)
    try:
        broker.start()
        yield broker
    finally:
        broker.kill()  # a polite end takes ten seconds, and nothing is kept
        # the port mapper was started by the node and outlives it; with no node left it ends when asked
        subprocess.run(["epmd", "-kill"], env={**os.environ, **settings}, capture_output=True, check=False, timeout=20)
        shutil.rmtree(folder, ignore_errors=True)
