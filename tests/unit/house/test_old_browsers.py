"""Scripts and style of the pages stay within what Chrome 60 and Firefox ESR understand, as far as they must."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.servers_mail import cannot_start
from tests.unit.house.repository import ROOT

LINTERS = {
    "eslint": ["src/lokole"],
    "stylelint": ["src/lokole/**/*.css"],
}


def lint(program: str, *arguments: str, root: Path = ROOT) -> subprocess.CompletedProcess[str]:
    node = Path(sys.executable).parent / "node"
    script = ROOT / "node_modules" / ".bin" / program
    if not node.exists() or not script.exists():
        cannot_start(f"There is no {program} (`make setup-test` brings it).")
    return subprocess.run([node, script.resolve(), *arguments], cwd=root, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("program", LINTERS)
def test_old_browsers_understand_what_the_pages_send(program: str) -> None:
    done = lint(program, *LINTERS[program])
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("program", "name", "text"),
    [
        ("eslint", "new.js", "const a = window?.b;\n"),  # syntax of 2020
        ("eslint", "new.js", "new ResizeObserver(function () {});\n"),  # Chrome 64
        ("stylelint", "new.css", "a:has(b) { color: red; }\n"),  # Chrome 105
    ],
)
def test_what_they_do_not_understand_is_found(tmp_path: Path, program: str, name: str, text: str) -> None:
    for file in ("eslint.config.mjs", "stylelint.config.mjs", "package.json"):
        shutil.copy(ROOT / file, tmp_path)
    (tmp_path / "node_modules").symlink_to(ROOT / "node_modules")
    place = tmp_path / "src" / "lokole" / name
    place.parent.mkdir(parents=True)
    place.write_text(text)
    done = lint(program, str(place.relative_to(tmp_path)), root=tmp_path)
    assert done.returncode != 0, done.stdout + done.stderr
