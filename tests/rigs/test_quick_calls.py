"""What a blob store asks of the kernel, in which order: seen by the shim."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.rigs import shim
from tests.servers_mail import cannot_start

PUT = """
import sys
from pathlib import Path
from lokole.adapters.blobs.folder import FolderBlobStore
from tests.rigs import shim
store = FolderBlobStore(Path(sys.argv[1]))
for _ in range(int(sys.argv[3])):
    store.put("village/letter", b"a goat")
shim.attach(Path(sys.argv[2]))
store.put(sys.argv[4], b"a goat")
"""


@pytest.fixture
def library() -> Path:
    found = shim.built()
    if found is None:
        cannot_start("No C compiler is here (`make setup-test` installs it).")
    return found


def calls(tmp_path: Path, library: Path, *, before: int, key: str) -> list[str]:
    """The calls that write of one ``put`` of ``key``, after ``before`` others of village/letter."""
    control = shim.Control(tmp_path / "page")
    control.count_from_now()
    root = Path(__file__).resolve().parents[2]
    subprocess.run(
        [sys.executable, "-c", PUT, tmp_path / "blobs", control.path, str(before), key],
        env={**os.environ, "LD_PRELOAD": str(library), "PYTHONPATH": f"{root}:{root / 'src'}"},
        check=True, timeout=60,
    )  # fmt: skip
    return control.calls()


def test_a_new_blob_is_written_flushed_named_and_its_folder_flushed(tmp_path: Path, library: Path) -> None:
    assert calls(tmp_path, library, before=1, key="village/other") == [
        "create",
        "write",
        "sync",
        "link",
        "unlink",
        "sync",
    ]


def test_a_new_folder_is_flushed_before_anything_is_written_into_it(tmp_path: Path, library: Path) -> None:
    seen = calls(tmp_path, library, before=1, key="town/letter")
    assert seen == ["mkdir", "sync", "create", "write", "sync", "link", "unlink", "sync"]


def test_a_blob_that_somebody_else_made_is_flushed_too_before_we_say_that_it_is_there(
    tmp_path: Path, library: Path
) -> None:
    """Its maker may have lost its life between giving it a name and flushing that."""
    assert calls(tmp_path, library, before=1, key="village/letter") == ["sync"]
