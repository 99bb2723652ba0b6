"""The status page's own tests, and that what the server serves is what its sources make.

They need Node and the npm packages of ``statuspage/``, which `make setup-test` brings; who only runs a server needs neither.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.corpus import REPOSITORY
from tests.servers_mail import cannot_start

pytestmark = pytest.mark.e2e

SOURCES = REPOSITORY / "statuspage"
BUILT = REPOSITORY / "src" / "lokole" / "server" / "status"


def npm(*arguments: str, **settings: str) -> str:
    """What an npm command of the status page prints; fails with what it said."""
    program = REPOSITORY / ".venv" / "bin" / "npm"
    if not program.exists() or not (SOURCES / "node_modules").exists():
        cannot_start("The status page's npm packages are not installed here (`make setup-test` brings them).")
    path = f"{program.parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [program, "--silent", *arguments],
        cwd=SOURCES,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env={**os.environ, "PATH": path, "NO_COLOR": "1", **settings},
    )
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    return done.stdout


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_its_parts_do_what_they_should() -> None:
    npm("test")


def test_what_is_served_is_what_the_sources_make(tmp_path: Path) -> None:
    npm("run", "build", LOKOLE_STATUS_OUT=str(tmp_path / "out"))
    made, kept = files(tmp_path / "out"), files(BUILT)
    assert sorted(made) == sorted(kept), "run `make statuspage` and commit what it makes"
    assert [name for name in made if made[name] != kept[name]] == []


def test_its_client_is_made_from_the_document_that_the_server_serves(tmp_path: Path) -> None:
    npm("run", "client", LOKOLE_STATUS_CLIENT=str(tmp_path / "schema.d.ts"))
    made = (tmp_path / "schema.d.ts").read_text()
    assert made == (SOURCES / "src" / "api" / "schema.d.ts").read_text(), (
        "run `make statuspage` and commit what it makes"
    )
    assert '"/api/email/metrics/boxes"' in made


def test_no_part_of_it_imports_another_one() -> None:
    """What two of them need stands in ``shared``."""
    found = []
    for path in (SOURCES / "src" / "features").rglob("*.ts*"):
        others = {part.name for part in (SOURCES / "src" / "features").iterdir()} - {path.parent.name}
        found += [path.name for other in others if f"'../{other}/" in path.read_text()]
    assert found == []


def test_the_npm_lock_records_no_address_and_a_hash_for_everything() -> None:
    packages = json.loads((SOURCES / "package-lock.json").read_text())["packages"]
    named = {name: entry for name, entry in packages.items() if name}
    assert [name for name, entry in named.items() if "resolved" in entry] == []
    assert [name for name, entry in named.items() if "integrity" not in entry and not entry.get("inBundle")] == []
