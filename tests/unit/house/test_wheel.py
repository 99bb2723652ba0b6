"""The built wheel, installed alone in an empty environment with one extra, starts and has everything it needs."""

from __future__ import annotations

import os
import subprocess
import sys
import urllib.request
import zipfile
from pathlib import Path

import pytest

from tests.servers_mail import free_port, wait_for_port
from tests.unit.house.repository import ROOT

pytestmark = pytest.mark.e2e


def run(*command: str | Path, cwd: Path, **environment: str) -> str:
    """Run to the end and give what it printed; the environment has no LOKOLE_ key but those given."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("LOKOLE_", "OPWEN_", "PYTHON"))}
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=clean | environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder, cwd=ROOT)
    (found,) = folder.glob("*.whl")
    return found


@pytest.fixture(scope="module", params=["device", "server"])
def installed(
    request: pytest.FixtureRequest, wheel: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, Path]:
    """(extra, environment): an empty environment with the locked requirements of one extra and the wheel."""
    folder = tmp_path_factory.mktemp(f"only-{request.param}")
    uv = Path(sys.executable).parent / "uv"
    environment = folder / "environment"
    run(uv, "venv", "--quiet", "--python", sys.executable, environment, cwd=folder)
    python = environment / "bin/python"
    lock = ROOT / f"requirements/{request.param}.lock"
    run(uv, "pip", "install", "--quiet", "--python", python, "--require-hashes", "--no-deps", "-r", lock, cwd=folder)
    run(uv, "pip", "install", "--quiet", "--python", python, "--no-deps", wheel, cwd=folder)
    # The lock is all that the extra asks for.
    run(uv, "pip", "check", "--python", python, cwd=folder)
    return request.param, environment


def test_the_wheel_has_templates_style_catalogues_migrations_and_the_api(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    for needed in (
        "lokole/webmail/templates/",
        "lokole/webmail/static/",
        "lokole/mailbox/migrations/env.py",
        "lokole/mailbox/migrations/versions/",
        "lokole/server/openapi.yaml",
        "lokole/py.typed",
    ):
        assert any(name.startswith(needed) for name in names), needed
    assert any(name.startswith("lokole/webmail/translations/fr/") and name.endswith(".mo") for name in names)
    assert [name for name in names if not name.startswith(("lokole/", "lokole-"))] == []


def test_it_says_its_version_and_describes_its_settings(installed: tuple[str, Path], tmp_path: Path) -> None:
    extra, environment = installed
    lokole = environment / "bin/lokole"
    assert "1." in run(lokole, "--version", cwd=tmp_path)
    described = run(lokole, "config", "describe", cwd=tmp_path)
    assert "LOKOLE_DATABASE" in described
    assert list(tmp_path.iterdir()) == [], f"describing the settings of a {extra} leaves no file"


def test_it_migrates_a_database(installed: tuple[str, Path], tmp_path: Path) -> None:
    _, environment = installed
    script = "import sys; from lokole.mailbox.migrate import is_current, migrate; migrate(sys.argv[1]); print(is_current(sys.argv[1]))"
    url = f"sqlite:///{tmp_path / 'mail.db'}"
    assert run(environment / "bin/python", "-c", script, url, cwd=tmp_path).split() == ["True"]


def test_one_extra_does_not_need_the_other(installed: tuple[str, Path], tmp_path: Path) -> None:
    extra, environment = installed
    other = {"device": "connexion", "server": "waitress"}[extra]
    script = f"import lokole.{extra}.build, importlib.util; print(importlib.util.find_spec('{other}'))"
    assert run(environment / "bin/python", "-c", script, cwd=tmp_path).split() == ["None"]


def test_it_starts_and_shows_its_pages_in_french(installed: tuple[str, Path], tmp_path: Path) -> None:
    extra, environment = installed
    port = free_port()
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("LOKOLE_", "OPWEN_", "PYTHON"))}
    settings = {"LOKOLE_DATA": str(tmp_path), "LOKOLE_LISTEN": f"127.0.0.1:{port}"}
    if extra == "server":
        settings |= {
            "LOKOLE_REGISTRATION_USERNAME": "operator",
            "LOKOLE_REGISTRATION_PASSWORD": "only for this test",
            "LOKOLE_MAIL_OUT": "recorder:",
            "LOKOLE_SMTP_LISTEN": "off",
        }
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [environment / "bin/lokole", extra], cwd=tmp_path, env=clean | settings, stdout=log, stderr=log
        )
    try:
        wait_for_port(port, process, seconds=60)
        page = {"device": "/", "server": "/web/"}[extra]
        assert "<html lang=fr" in got(port, page)
        assert "lettre" in got(port, f"{page}about")
        if extra == "server":
            assert '"/api/exchange/ack"' in got(port, "/openapi.json")
    finally:
        process.terminate()
        process.wait(30)


def got(port: int, path: str) -> str:
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers={"Accept-Language": "fr"})
    with urllib.request.urlopen(request, timeout=20) as answer:
        assert answer.status == 200
        return str(answer.read().decode())
