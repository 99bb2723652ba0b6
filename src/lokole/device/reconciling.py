"""Does the server hold the same letters as this box? The digest of each visit, and what its answer changes here (protocol 8.5)."""

from __future__ import annotations

from datetime import datetime

from lokole.device import packing
from lokole.mailbox import held, packages
from lokole.mailbox.database import Connection, to_micros
from lokole.mailbox.options import set_option
from lokole.mailbox.tenants import TenantRow
from lokole.ports.sync_peer import Compared
from lokole.sync import digest
from lokole.sync.digest import Summary
from lokole.sync.records import PackageDigest

#: ``{"missing", "letters", "at"}``: how many letters of how many were missing at the last comparison
HELD_OPTION = "held_together"
_STATES = (*held.MADE, "unpacked")


def summary(tx: Connection, tenant: TenantRow, now: datetime) -> Summary:
    """What this box holds of the last 30 days."""
    windows = held.windows_of_box(tx, tenant.no, now)
    return digest.summarise(held.digests(tx, tenant.no, _STATES, windows=windows), windows)


def packages_held(tx: Connection, tenant: TenantRow, now: datetime) -> list[PackageDigest]:
    """The same package by package, the newest 5000."""
    windows = held.windows_of_box(tx, tenant.no, now)
    return held.digests(tx, tenant.no, _STATES, windows=windows)[-5000:]


def agreed(tx: Connection, tenant: TenantRow, now: datetime) -> None:
    """Both ends hold the same."""
    _note(tx, tenant, 0, summary(tx, tenant, now).count, now)


def take_answer(tx: Connection, tenant: TenantRow, answer: Compared, now: datetime) -> bool:
    """Do what the comparison asks for; True when packages are to go up once more."""
    asked = False
    for epoch, seq in answer.up:
        found = packages.find_package_by_seq(tx, tenant.no, epoch, packing.UP, seq)
        if found is not None and found.state == "acknowledged":
            packages.set_package_state(tx, found.no, "built", now)
            asked = True
    for direction, epoch, seq in answer.withdrawn:
        found = packages.find_package_by_seq(tx, tenant.no, epoch, direction, seq)
        if direction == packing.UP:
            if found is not None and found.state == "acknowledged":
                packages.withdraw_package(tx, found.no, now)
                asked = True
        elif found is None:
            packages.note_withdrawn(tx, tenant.no, epoch, direction, seq, now)
        else:  # also what was held and could not be read: nothing more will come under its number
            held.not_held(tx, found.no)
            packages.set_package_state(tx, found.no, "withdrawn", now)
    _note(tx, tenant, answer.missing, answer.letters, now)
    return asked


def _note(tx: Connection, tenant: TenantRow, missing: int, letters: int, now: datetime) -> None:
    set_option(tx, tenant.no, HELD_OPTION, {"missing": missing, "letters": letters, "at": to_micros(now)})
