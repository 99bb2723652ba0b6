"""A package of 5,000 waiting letters built by the server, in a fresh process: CPU, and peak memory over that of the idle server.

A second run with a fifth of the letters shows that memory does not grow with their number.
``python -m tests.bench.build_package`` is the process that is measured; it prints what it cost as JSON.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from lokole.config import load
from lokole.mailbox import accounts, attachments, letters, packages, recipients, tenants
from lokole.server.build import build_ports
from lokole.server.offer import build_pending
from lokole.server.settings import ServerSettings
from lokole.sync.ids import SERVER_ORIGIN, email_id
from lokole.sync.signing import public_key
from tests.bench.letters import Letters
from tests.bench.measure import Figure, measured
from tests.e2e.processes import environment, server_settings

LETTERS = 5_000
DOMAIN = "bench.lokole.test"
PERSON = "amina"


def measure() -> Iterator[Figure]:
    many, few = cost_of(LETTERS), cost_of(LETTERS // 5)
    yield Figure("package_5k_cpu_s", many["cpu_s"], "s")
    yield Figure("package_5k_peak_mib", many["peak_over_idle_mib"], "MiB")
    yield Figure("package_1k_peak_mib", few["peak_over_idle_mib"], "MiB")
    yield Figure("package_5k_bytes", many["bytes"], "bytes")
    yield Figure("package_5k_idle_mib", many["idle_mib"], "MiB")
    yield Figure("wall_package_5k_s", many["wall_s"], "s")


def cost_of(count: int) -> dict[str, float]:
    """What the server pays for a package of ``count`` letters."""
    with tempfile.TemporaryDirectory() as folder:
        settings = server_settings(Path(folder))
        _let_wait(settings, count)
        done = subprocess.run(
            [sys.executable, "-m", "tests.bench.build_package"],
            env=environment(settings),
            stdout=subprocess.PIPE,
            check=True,
        )
    cost: dict[str, float] = json.loads(done.stdout)
    assert cost["letters"] == count, cost
    return cost


def _let_wait(settings: dict[str, str], count: int) -> None:
    """A server where ``count`` letters wait for one box."""
    ports = build_ports(load(ServerSettings, environment(settings)))
    now = datetime.now(UTC)
    with ports.database.write() as tx:
        tenant = tenants.add_tenant(
            tx, domain=DOMAIN, device_id="bench", state="claimed", webhook_secret="bench", now=now
        )
        # a package is sealed to the box's key: without one nothing is built
        tenants.add_credential(tx, tenant, public_key(bytes(32)), now)
        person = accounts.create_account(tx, tenant, PERSON, password_hash=None, now=now)
    address = f"{PERSON}@{DOMAIN}"
    source = list(Letters(address)(count))
    stored = [attachments.put_attachments(ports.blobs, DOMAIN, one.attachments) for one in source]
    with ports.database.write() as tx:
        for n, (one, files) in enumerate(zip(source, stored, strict=True), start=1):
            no, _ = letters.store_email(
                tx,
                tenant,
                one,
                id=email_id(SERVER_ORIGIN, 1, n),
                received_at=now,
                attachments=files,
                deliver_to=[person.no],
            )
            recipients.set_envelope(tx, tenant, no, {address: "delivered"})
            packages.add_waiting(tx, tenant, no, "down")
    ports.database.close()


def _build() -> dict[str, float]:
    """What it costs this process to build the package."""
    ports = build_ports(load(ServerSettings, os.environ))
    with ports.database.read() as tx:
        row = tenants.find_tenant(tx, domain=DOMAIN)
        assert row is not None
    with measured() as work:
        build_pending(ports, row)
    with ports.database.read() as tx:
        built = packages.packages_after(tx, row.no, "down", 0)
    ports.database.close()
    return {
        "cpu_s": work.cpu_s,
        "wall_s": work.wall_s,
        "idle_mib": work.idle_mib,
        "peak_over_idle_mib": work.peak_over_idle_mib,
        "letters": sum(one.letters for one in built),
        "bytes": sum(one.size for one in built),
    }


if __name__ == "__main__":
    print(json.dumps(_build()))
