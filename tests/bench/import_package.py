"""A package of 10,000 letters taken in by a box, in a fresh process: CPU, and peak memory over that of the idle box.

``python -m tests.bench.import_package FOLDER`` is that process; it prints what it cost as JSON.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from lokole.sync.compression import Compression
from lokole.sync.ids import email_id
from lokole.sync.package import write_package
from lokole.sync.records import EmailRecord
from tests.bench.letters import Letters
from tests.bench.mailbox import PERSON, FilledMailbox
from tests.bench.measure import Figure, measured
from tests.e2e.processes import device, environment

LETTERS = 10_000
_NAME = "0" * 64


def measure() -> Iterator[Figure]:
    cost = cost_of(LETTERS)
    yield Figure("import_10k_cpu_s", cost["cpu_s"], "s")
    yield Figure("import_10k_peak_mib", cost["peak_over_idle_mib"], "MiB")
    yield Figure("import_10k_idle_mib", cost["idle_mib"], "MiB")
    yield Figure("wall_import_10k_s", cost["wall_s"], "s")


def cost_of(count: int) -> dict[str, float]:
    """What a box pays for a package of ``count`` letters."""
    with tempfile.TemporaryDirectory() as folder:
        box = device(Path(folder))
        with box.pages():
            pass  # the first start makes the database
        FilledMailbox(Path(box.settings["LOKOLE_DATA"])).close()
        package = Path(folder) / "package"
        letters = Letters(f"{PERSON}@lokole.local")
        with package.open("wb") as out:
            records = (EmailRecord(email_id("server", 1, n).hex(), one) for n, one in enumerate(letters(count)))
            write_package(out, records, compression=Compression.ZSTD, own_box=True)
        done = subprocess.run(
            [sys.executable, "-m", "tests.bench.import_package", str(package)],
            env=environment(box.settings),
            stdout=subprocess.PIPE,
            check=True,
        )
    cost: dict[str, float] = json.loads(done.stdout)
    assert cost["letters"] == count, cost
    assert cost["unknown"] == 0, cost
    return cost


def _take_in(package: Path) -> dict[str, float]:
    """What it costs this process to import ``package`` into the box of its settings."""
    import os

    from lokole.config import load
    from lokole.device.build import open_box
    from lokole.device.importing import import_package
    from lokole.device.settings import DeviceSettings
    from lokole.sync.package import BOX, read_package

    with open_box(load(DeviceSettings, os.environ)) as box:
        tenant = box.row()
        with box.ports.database.read():
            pass
        with measured() as work, package.open("rb") as content:
            imported = import_package(
                enumerate(read_package(content, limits=BOX), start=1),
                name=_NAME,
                database=box.ports.database,
                blobs=box.ports.blobs,
                tenant=tenant,
                clock=lambda: datetime.now(UTC),
                entropy=os.urandom,
            )
    return {
        "cpu_s": work.cpu_s,
        "wall_s": work.wall_s,
        "idle_mib": work.idle_mib,
        "peak_over_idle_mib": work.peak_over_idle_mib,
        "letters": imported.letters,
        "unknown": imported.unknown,
    }


if __name__ == "__main__":
    print(json.dumps(_take_in(Path(sys.argv[1]))))
