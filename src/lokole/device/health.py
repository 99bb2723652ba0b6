"""How this box is, in one line for its operator (protocol 7.8): at most 300 bytes, sent only when it is another one than the last.

So each word of it stands still while all is well: the room on the disk comes in steps, the newest letters do not count as waiting,
and a visit that went well is not mentioned.
"""

from __future__ import annotations

from datetime import datetime, timedelta, tzinfo
from typing import Any

from lokole import __version__
from lokole.device.packing import UP
from lokole.device.reconciling import HELD_OPTION
from lokole.device.schedule import as_cron, load_schedule
from lokole.mailbox import outbound, packages, visits
from lokole.mailbox.database import Connection
from lokole.mailbox.options import get_option
from lokole.mailbox.quarantine import count_quarantine
from lokole.mailbox.tenants import TenantRow
from lokole.ports.machine import MachineState
from lokole.sync import jsontext
from lokole.sync.container import PayloadKind
from lokole.sync.records import MAX_HEALTH_BYTES, HealthRecord

#: a letter that waits for longer than this has missed a visit
_LONG = timedelta(days=2)
#: percent of signal below which a modem hardly gets a letter through
_WEAK = 30
#: days after which a copy is an old one
_OLD_COPY = 32
_WELL = MachineState()


def note_health(
    tx: Connection,
    tenant: TenantRow,
    now: datetime,
    free_bytes: int | None,
    zone: tzinfo,
    machine: MachineState = _WELL,
) -> bool:
    """Let the present health travel with the next package; False when it is the one that travels, or that the server knows.

    ``zone`` is the one in which the hours of the schedule are meant.
    """
    return outbound.put(tx, tenant.no, UP, HealthRecord(line(tx, tenant, now, free_bytes, zone, machine)))


def line(
    tx: Connection,
    tenant: TenantRow,
    now: datetime,
    free_bytes: int | None,
    zone: tzinfo,
    machine: MachineState = _WELL,
) -> dict[str, Any]:
    """``version``, ``reads``, ``free`` (megabytes, in steps), ``waiting`` (letters for more than two days), ``apart``, ``missing``.

    ``leaves`` (five fields of cron) and, when it is not UTC, ``zone`` say when the box is to come, as long as there is room for both.
    Only when something is wrong there stand ``failed`` (the word for a visit that went wrong), ``clock`` (true: it has gone back),
    ``oldest`` (days that the first of the waiting letters waits, in steps), ``card`` (errors of the file systems, in steps),
    ``power`` (``low``), ``signal`` (a weak one, in tens of percent) and ``copied`` (days since the last copy of the box, when it is an old one, in steps).
    """
    last = next((one for one in visits.last_visits(tx, tenant.no, 20) if one.ended_at is not None), None)
    held = get_option(tx, tenant.no, HELD_OPTION, None) or {}
    told: dict[str, Any] = {
        "version": __version__[:30],
        "reads": [int(kind) for kind in PayloadKind],
        "waiting": packages.count_waiting(tx, tenant.no, UP, before=now - _LONG),
        "apart": count_quarantine(tx, tenant.no),
        "missing": int(held.get("missing", 0)),
    }
    if free_bytes is not None:
        told["free"] = _in_steps(free_bytes // 2**20)
    if last is not None and last.result != visits.End.OK:
        told["failed"] = last.result[:30]
    if last is not None and last.started_at > now:
        told["clock"] = True
    told |= _of_letters(tx, tenant, now) if told["waiting"] else {}
    told |= _of_machine(machine, now)
    hours = {"leaves": as_cron(load_schedule(tx, tenant.no))} | ({} if str(zone) == "UTC" else {"zone": str(zone)})
    return told | hours if len(jsontext.write(told | hours)) <= MAX_HEALTH_BYTES else told


def _of_letters(tx: Connection, tenant: TenantRow, now: datetime) -> dict[str, Any]:
    oldest = packages.oldest_waiting(tx, tenant.no, UP)
    return {} if oldest is None else {"oldest": _in_steps((now - oldest).days)}


def _of_machine(machine: MachineState, now: datetime) -> dict[str, Any]:
    told: dict[str, Any] = {}
    if machine.card_errors > 0:
        told["card"] = _in_steps(machine.card_errors)
    if machine.power_is_low:
        told["power"] = "low"
    if machine.signal is not None and machine.signal < _WEAK:
        told["signal"] = machine.signal // 10 * 10
    if machine.copied_at is not None and (now - machine.copied_at).days >= _OLD_COPY:
        told["copied"] = _in_steps((now - machine.copied_at).days)
    return told


def _in_steps(number: int) -> int:
    """The highest power of two that is not above ``number``: so it changes when the room has halved, and not each night."""
    return 1 << (number.bit_length() - 1) if number > 0 else 0
