"""A clean clone on a fresh Debian: `make start` sets everything up and the pages answer; nothing of this machine helps but its network.

Each test makes a minimal root filesystem, so it needs root and mmdebstrap, and takes one or two minutes.
What it measures (seconds from nothing to ready) is printed and never fails it.
"""

from __future__ import annotations

import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.slow.debian_root import BUNDLE, ROOT, debian_root

pytestmark = pytest.mark.slow


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports: list[int] = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


@pytest.fixture(params=["bookworm", "trixie"])
def fresh(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """The root of a minimal Debian with `git` and `make`, and a clean clone in /src."""
    with debian_root(tmp_path / request.param, request.param, ("ca-certificates", "git", "make")) as root:
        subprocess.run(["git", "clone", "--quiet", ROOT, root / "src"], check=True)
        yield root


def test_from_nothing_to_the_first_page(fresh: Path, capfd: pytest.CaptureFixture[str]) -> None:
    device, server, smtp, world, status = free_ports(5)
    options = (
        f"--device-port {device} --server-port {server} --smtp-port {smtp} --world-port {world} --status-port {status}"
    )
    # A process namespace of its own: when its first process ends, whatever it started ends too.
    began = time.monotonic()
    inside = subprocess.Popen(
        [
            *("unshare", "--mount", "--pid", "--fork", "--kill-child", f"--root={fresh}", "--mount-proc"),
            *("/bin/bash", "-c", "cd /src && make start && echo pages are up && read -r && make logs && make stop"),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": "/root",
            "PIP_CERT": BUNDLE,
            "OPTIONS": options,
        },
    )
    assert inside.stdin is not None
    assert inside.stdout is not None
    said = []
    for line in inside.stdout:
        said.append(line)
        if line == "pages are up\n":
            break
    else:
        pytest.fail("".join(said))
    seconds = time.monotonic() - began
    for port in (device, server, world, status):
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=30) as answer:
            assert answer.status == 200
    rest, _ = inside.communicate("\n", timeout=120)
    assert "Lokole has stopped." in rest
    with capfd.disabled():
        print(f"\n{fresh.name}: from a clean clone to the first page in {seconds:.0f} seconds")
