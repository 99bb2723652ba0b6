"""What was given up, and what was set apart, for an operator who has mended what made it fail: looked at, and tried once more.

Nothing of a letter stands in a line; its bytes are written to a file only, for whoever asks for one.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lokole.mail.errors import NotFound, Refused
from lokole.mailbox import jobs, quarantine, tenants
from lokole.mailbox.database import Connection
from lokole.server.devices import EXCHANGED
from lokole.server.ports import ServerPorts

_MOST = 1000
_CHUNK = 65_536


def given_up_lines(ports: ServerPorts) -> Iterator[dict[str, Any]]:
    """The newest thousand pieces of work that were given up, each with how often it was tried and the type and place of its last failure."""
    with ports.database.read() as tx:
        found = jobs.dead_jobs(tx, _MOST)
        domains = _domains(tx)
    for one in found:
        domain = None if one.tenant is None else domains.get(one.tenant)
        error = one.error.partition(": ")[2] or one.error
        yield {"number": one.no, "kind": one.kind, "domain": domain, "attempts": one.attempts, "error": error}


def try_again(ports: ServerPorts, no: int | None) -> int:
    """Let one piece of work that was given up be done, or all; returns how many. Raises NotFound."""
    with ports.database.write() as tx:
        if no is None:
            count = jobs.revive_all(tx, ports.clock())
        else:
            jobs.revive(tx, no, ports.clock())
            count = 1
    ports.bell.ring()
    return count


def apart_lines(ports: ServerPorts) -> Iterator[dict[str, Any]]:
    """The newest thousand things that were set apart and are not settled, and whether their bytes are here."""
    with ports.database.read() as tx:
        found = quarantine.list_quarantine(tx, everybody=True, limit=_MOST)
        domains = _domains(tx)
    for one in found:
        yield {
            "number": one.no,
            "kind": one.kind,
            "domain": None if one.tenant is None else domains.get(one.tenant),
            "source": one.source,
            "reason": one.reason,
            "at": one.at.isoformat(),
            "bytes": one.raw_ref is not None,
        }


def write_bytes(ports: ServerPorts, no: int, file: Path) -> None:
    """Write what was set apart to a new file that only its owner can read. Raises NotFound, also when its bytes are gone, and OSError."""
    with ports.database.read() as tx:
        ref = quarantine.get_quarantined(tx, None, no, everybody=True).raw_ref
    if ref is None:
        raise NotFound("there are no bytes of it")
    key = ref.removeprefix(EXCHANGED)
    blobs = ports.blobs if key == ref or ports.exchange is None else ports.exchange.blobs
    with blobs.open(key) as stream, os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
        while piece := stream.read(_CHUNK):
            out.write(piece)


def read_again(ports: ServerPorts, no: int) -> None:
    """Have a letter read once more that could not be; it is settled when that works. Raises NotFound, and Refused when nobody knows its envelope any more."""
    with ports.database.write() as tx:
        found = quarantine.get_quarantined(tx, None, no, everybody=True)
        if found.kind != "mime" or found.raw_ref is None:
            raise Refused("only a letter that could not be read can be read again")
        digest = found.raw_ref.rpartition("/")[2]
        if not jobs.repeat(tx, found.tenant, "receive", digest, ports.clock()):
            raise Refused(
                "its envelope is kept for a week only: write it to a file, and bring it to the mail server anew"
            )
    ports.bell.ring()


def settle(ports: ServerPorts, no: int) -> None:
    """It is dealt with; its bytes stay. Raises NotFound."""
    with ports.database.write() as tx:
        quarantine.resolve(tx, None, no, ports.clock(), everybody=True)


def _domains(tx: Connection) -> dict[int, str]:
    return {row.no: row.domain for row in tenants.list_tenants(tx)}
