"""A minimal Debian of its own: its root filesystem, made new, which reaches the package indexes as this machine does and has nothing else of it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

#: How this machine reaches its package indexes; a fresh machine at the same place would be set up the same way.
WAYS_OUT = ("etc/resolv.conf", "etc/hosts", "etc/pip.conf", "etc/ssl/certs/ca-certificates.crt", "root/.npmrc")
#: where pip finds the certificates of such an index
BUNDLE = "/etc/ssl/certs/ca-certificates.crt"


@contextmanager
def debian_root(root: Path, suite: str, packages: Sequence[str]) -> Iterator[Path]:
    """The root filesystem of a minimal Debian with ``packages``, removed at the end; skips where none can be made."""
    if os.geteuid() != 0 or shutil.which("mmdebstrap") is None:
        pytest.skip("making a root filesystem needs root and mmdebstrap")
    command = ["mmdebstrap", "--quiet", "--variant=minbase", f"--include={','.join(packages)}"]
    command += ["--keyring=/usr/share/keyrings", suite, str(root), f"deb {_archive()} {suite} main"]
    subprocess.run(command, check=True, timeout=900)
    try:
        for name in WAYS_OUT:
            if (Path("/") / name).exists():
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(Path("/") / name, root / name)
        shutil.copytree("/etc/apt/apt.conf.d", root / "etc/apt/apt.conf.d", dirs_exist_ok=True)
        yield root
    finally:
        shutil.rmtree(root, ignore_errors=True)


def _archive() -> str:
    """The address of the Debian archive that this machine installs from."""
    done = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(SITE)|$(REPO_URI)", "Created-By: Packages", "Codename: bookworm"],
        capture_output=True,
        text=True,
        check=True,
    )
    addresses = [line.partition("|")[2] for line in done.stdout.splitlines()]
    return next(address for address in addresses if address.rstrip("/").endswith("/debian"))
