"""A volunteer's way, as docs/operate-server.md has it: an empty Debian, a domain, a box, the first letter each way.

The commands are read from the document and run as they stand, in a fresh root filesystem that systemd has started.
What the world would give is given here: the clone comes from this checkout, the relay is a small mail server, the certificate is Caddy's own,
and a name server has the records that the server prints. It needs root, mmdebstrap and systemd-nspawn, and the ports 80 and 443.
How long each part took is printed and never fails it.
"""

from __future__ import annotations

import json
import re
import smtplib
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from shutil import which

import pytest

from tests.e2e.processes import Visitor
from tests.rigs import world
from tests.servers_dns import name_server
from tests.servers_mail import free_port, stop, wait_for_port
from tests.slow.debian_root import BUNDLE, ROOT, debian_root

pytestmark = pytest.mark.slow

DOMAIN = "village.example.org"
HEADING = "## From nothing to the first letter\n"
SOURCE = "https://github.com/ascoderu/lokole"
RELAY = "smtp+starttls://user@relay.example.net:587"
#: what a bare virtual machine has
PACKAGES = ("systemd-sysv", "dbus", "procps", "iproute2", "ca-certificates")


@dataclass
class Machine:
    """A started Debian; commands run in it as root."""

    root: Path
    leader: int

    def run(self, commands: str, settings: Mapping[str, str] | None = None, *, check: bool = True) -> str:
        """Run a piece of shell, and return what it printed; it fails with all of that."""
        inside = [f"{name}={value}" for name, value in (settings or {}).items()]
        clean = ["env", "-i", "HOME=/root", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin", *inside]
        done = subprocess.run(
            ["nsenter", "-t", str(self.leader), "-a", *clean, "/bin/bash", "-e", "-c", f"cd\n{commands}"],
            capture_output=True,
            text=True,
            check=False,
            timeout=900,
        )
        if check and done.returncode != 0:
            pytest.fail(f"{commands}\n{done.stdout}\n{done.stderr}")
        return done.stdout


@contextmanager
def booted(root: Path) -> Iterator[Machine]:
    """systemd in ``root``, on the network of this machine."""
    command = ["systemd-nspawn", "--quiet", "-D", str(root), "--boot", "--register=no", "--keep-unit"]
    command += ["--resolv-conf=off", "--timezone=off", f"--machine=volunteer-{free_port()}"]
    with (root.parent / "boot.log").open("wb") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        for _ in range(600):
            assert process.poll() is None, (root.parent / "boot.log").read_text(errors="replace")
            with suppress(OSError, IndexError):
                machine = Machine(root, int(children.read_text().split()[0]))
                if machine.run("systemctl is-system-running", check=False).strip() in ("running", "degraded"):
                    break
            time.sleep(0.2)
        else:
            pytest.fail("it did not start")
        yield machine
    finally:
        stop(process, seconds=30)


def blocks() -> list[str]:
    """The commands of the section, in the order in which they are typed."""
    text = (ROOT / "docs/operate-server.md").read_text()
    section = text.partition(HEADING)[2].partition("\n## ")[0]
    return re.findall(r"^```sh\n(.*?)^```", section, re.MULTILINE | re.DOTALL)


def is_free(port: int) -> bool:
    try:
        socket.create_server(("", port)).close()
    except OSError:
        return False
    return True


def test_from_an_empty_machine_to_the_first_letter_each_way(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    if which("systemd-nspawn") is None:
        pytest.skip("a Debian that systemd starts needs systemd-nspawn")
    if not is_free(80) or not is_free(443):
        pytest.skip("the ports 80 and 443 are in use here")
    smtp, box_port, relay = free_port(), free_port(), free_port()
    install, settings, start, as_server, register, code = blocks()
    times: dict[str, float] = {}
    with ExitStack() as stack:
        root = stack.enter_context(debian_root(tmp_path / "root", "bookworm", PACKAGES))
        subprocess.run(["git", "clone", "--quiet", ROOT, root / "opt/clone"], check=True)
        with (root / "etc/hosts").open("a") as hosts:
            hosts.write("127.0.0.1 mail.example.org\n")
        (tmp_path / "world").mkdir()
        serve = "from pathlib import Path; from tests.rigs import world; world.serve({}, Path({!r}))"
        (tmp_path / "world/now").mkdir()
        (tmp_path / "world/current").write_text(str(tmp_path / "world/now"))
        taker = subprocess.Popen([sys.executable, "-c", serve.format(relay, str(tmp_path / "world"))], cwd=ROOT)
        stack.callback(stop, taker)
        wait_for_port(relay, taker)
        machine = stack.enter_context(booted(root))

        @contextmanager
        def timed(what: str) -> Iterator[None]:
            began = time.monotonic()
            yield
            times[what] = time.monotonic() - began

        with timed("install"):
            machine.run(replaced(install, {SOURCE: "/opt/clone"}), {"PIP_CERT": BUNDLE})
        with timed("settings and start"):
            machine.run(replaced(settings, {RELAY: f"smtp://127.0.0.1:{relay}", "0.0.0.0:25": f"127.0.0.1:{smtp}"}))
            machine.run(replaced(start, {"mail.example.org {": "{\n\tlocal_certs\n}\nmail.example.org {"}))
            wait_for_port(smtp, seconds=120)
            wait_for_port(443, seconds=60)
            machine.run(
                "for n in $(seq 60); do [ -e /var/lib/caddy/.local/share/caddy/pki/authorities/local/root.crt ] && break; sleep 1; done\n"
                f"cat /var/lib/caddy/.local/share/caddy/pki/authorities/local/root.crt >> {BUNDLE}"
            )
            assert "ok      database" in machine.run(as_server)
        with timed("domain"):
            printed = machine.run(register)
            records = re.findall(r'^(\S+) \d+ IN (MX|TXT) (\d+ \S+|"[^"\n]*")', printed, re.MULTILINE)
            assert {kind for _, kind, _ in records} == {"MX", "TXT"}, printed
            resolver = stack.enter_context(
                name_server(
                    mx={
                        name.rstrip("."): [(int(value.split()[0]), value.split()[1].rstrip("."))]
                        for name, kind, value in records
                        if kind == "MX"
                    },
                    txt=[(name.rstrip("."), value.strip('"')) for name, kind, value in records if kind == "TXT"],
                )
            )
            machine.run(f"echo LOKOLE_RESOLVER=127.0.0.1:{resolver} >> /etc/lokole/server.env")
            machine.run(f"lokole-as-server server dns {DOMAIN}")
            details = json.loads(machine.run(code))
        with timed("box"):
            machine.run(
                f"/opt/lokole/bin/pip install --require-hashes -r /opt/lokole-source/requirements/device.lock\n"
                f"lokole device register {details['code']} --server https://mail.example.org\n"
                "systemd-run --unit=box -E LOKOLE_DATA -E LOKOLE_LISTEN -E SSL_CERT_FILE /opt/lokole/bin/lokole device",
                {**box_settings(box_port), "PIP_CERT": BUNDLE},
            )
            wait_for_port(box_port, seconds=120)
        with timed("first letters"), closing(Visitor(box_port)) as ann:
            assert ann.post("/user/register", {"name": "ann", "password": "ann likes mangoes"}).status == 303
            letter = {"to": "bob@example.org", "subject": "the first out", "body": "hello", "do": "send"}
            assert ann.post("/email/new", letter).status == 303
            visit(machine, box_port)
            wait_until(lambda: "the first out" in [one.subject for one in world.taken(tmp_path / "world/now")])
            wait_until(lambda: _sent(smtp, "the first in"))
            wait_until(lambda: visit(machine, box_port) and b"the first in" in ann.get("/email/inbox").body)
    with capfd.disabled():
        parts = ", ".join(f"{what} {seconds:.0f}" for what, seconds in times.items())
        print(f"\na volunteer's way in {sum(times.values()):.0f} seconds: {parts}")


def box_settings(port: int) -> dict[str, str]:
    return {
        "LOKOLE_DATA": "/var/lib/lokole-box",
        "LOKOLE_LISTEN": f"127.0.0.1:{port}",
        "SSL_CERT_FILE": BUNDLE,
    }


def visit(machine: Machine, port: int) -> bool:
    """The box meets the server; what it reported says that all went well."""
    report = json.loads(machine.run("lokole sync --json", box_settings(port)))
    assert report["result"] == "ok", report
    return True


def _sent(port: int, subject: str) -> bool:
    """A letter from the world is offered once by SMTP, and taken or put off."""
    to = f"ann@{DOMAIN}"
    with smtplib.SMTP("127.0.0.1", port, timeout=30) as line:
        try:
            line.sendmail("bob@example.org", [to], world.letter(subject, [to]))
        except smtplib.SMTPRecipientsRefused:
            return False
    return True


def replaced(commands: str, changes: dict[str, str]) -> str:
    """The commands with what the world would give replaced; all of it has to stand there."""
    for old, new in changes.items():
        assert old in commands, old
        commands = commands.replace(old, new)
    return commands


def wait_until(happened: object, *, seconds: float = 120) -> None:
    assert callable(happened)
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.5)
