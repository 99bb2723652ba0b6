"""The locks pin everything by hash and name no index and no place of any machine."""

from __future__ import annotations

import json
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from tests.unit.house.repository import ROOT

LOCKS = sorted((ROOT / "requirements").glob("*.lock"))


def pins(path: Path) -> set[tuple[str, str]]:
    """(name, version) of every requirement in a lock."""
    return set(re.findall(r"^([A-Za-z0-9._-]+)==([^\s;]+)", path.read_text(), re.MULTILINE))


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: path.name)
def test_a_lock_names_no_index_and_no_folder(path: Path) -> None:
    text = path.read_text()
    assert re.search(r"index-url|find-links|trusted-host|://|file:|(?<!\w)/(?!/)\w+/", text) is None


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: path.name)
def test_everything_in_a_lock_has_a_hash(path: Path) -> None:
    entries = re.split(r"^(?=[A-Za-z0-9])", path.read_text(), flags=re.MULTILINE)[1:]
    assert entries
    assert [entry.split()[0] for entry in entries if "--hash=sha256:" not in entry] == []


@pytest.mark.parametrize("name", ["device", "server", "celery", "servicebus", "telemetry", "build"])
def test_tests_run_on_the_versions_that_are_installed(name: str) -> None:
    assert pins(ROOT / f"requirements/{name}.lock") <= pins(ROOT / "requirements/dev.lock")


def test_a_box_downloads_nothing_of_the_server() -> None:
    names = {name for name, _ in pins(ROOT / "requirements/device.lock")}
    assert names.isdisjoint({"connexion", "starlette", "uvicorn", "psycopg", "obstore", "aiosmtpd", "httpx2", "pytest"})


def test_the_npm_lock_records_no_address_and_a_hash_for_everything() -> None:
    lock = json.loads((ROOT / "package-lock.json").read_text())
    packages = {name: entry for name, entry in lock["packages"].items() if name}
    assert packages
    assert [name for name, entry in packages.items() if "resolved" in entry] == []
    assert [name for name, entry in packages.items() if "integrity" not in entry and not entry.get("inBundle")] == []


def test_the_project_has_links_classifiers_and_its_licence() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["requires-python"] == ">=3.11"
    assert project["license"] == "Apache-2.0"
    assert {"Homepage", "Documentation", "Source", "Issues", "Changelog"} <= set(project["urls"])
    assert any(text.startswith("Programming Language :: Python :: 3.13") for text in project["classifiers"])
    assert set(project["optional-dependencies"]) == {"device", "server", "celery", "servicebus", "telemetry"}
    assert "Apache License" in (ROOT / "LICENSE").read_text()


def test_no_file_names_a_folder_of_the_machine_it_was_written_on() -> None:
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False).stdout
    if not tracked:
        pytest.skip("this is not a git checkout")
    folders = {f"{ROOT}/", f"{Path.home()}/", f"{ROOT.parent}/"} - {"/", "//"}
    found = []
    for name in tracked.decode().split("\0"):
        path = ROOT / name
        if name and path.is_file() and path.stat().st_size < 2_000_000:
            content = path.read_bytes()
            found += [(name, folder) for folder in folders if folder.encode() in content]
    assert found == []
