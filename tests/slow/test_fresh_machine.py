"""A clean clone on a fresh Debian: `make start` sets everything up and the pages answer; nothing of this machine helps but its network.

Each test makes a minimal root filesystem, so it needs root and mmdebstrap, and takes one or two minutes.
What it measures (seconds from nothing to ready) is printed and never fails it.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.slow

#: How this machine reaches its package indexes; a fresh machine at the same place would be set up the same way.
WAYS_OUT = ("etc/resolv.conf", "etc/hosts", "etc/pip.conf", "etc/ssl/certs/ca-certificates.crt", "root/.npmrc")


def archive() -> str:
    """The address of the Debian archive that this machine installs from."""
    done = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(SITE)|$(REPO_URI)", "Created-By: Packages", "Codename: bookworm"],
        capture_output=True,
        text=True,
        check=True,
    )
    addresses = [line.partition("|")[2] for line in done.stdout.splitlines()]
    return next(address for address in addresses if address.rstrip("/").endswith("/debian"))


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports: list[int] = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


@pytest.fixture(params=["bookworm", "trixie"])
def fresh(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """The root of a minimal Debian with `git` and `make`, and a clean clone in /src."""
    if os.geteuid() != 0 or shutil.which("mmdebstrap") is None:
        pytest.skip("making a root filesystem needs root and mmdebstrap")
    root = tmp_path / request.param
    subprocess.run(
        [
            "mmdebstrap",
            "--quiet",
            "--variant=minbase",
            "--include=ca-certificates,git,make",
            "--keyring=/usr/share/keyrings",
            request.param,
            root,
            f"deb {archive()} {request.param} main",
        ],
        check=True,
        timeout=600,
    )
    for name in WAYS_OUT:
        if (Path("/") / name).exists():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(Path("/") / name, root / name)
    shutil.copytree("/etc/apt/apt.conf.d", root / "etc/apt/apt.conf.d", dirs_exist_ok=True)
    subprocess.run(["git", "clone", "--quiet", ROOT, root / "src"], check=True)
    yield root
    shutil.rmtree(root)


def test_from_nothing_to_the_first_page(fresh: Path, capfd: pytest.CaptureFixture[str]) -> None:
    device, server, smtp, world, status = free_ports(5)
    options = (
        f"--device-port {device} --server-port {server} --smtp-port {smtp} --world-port {world} --status-port {status}"
    )
    bundle = "/etc/ssl/certs/ca-certificates.crt"
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
            "PIP_CERT": bundle,
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
