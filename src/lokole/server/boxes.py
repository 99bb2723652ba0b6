"""How each box is, for whoever looks after the server: when it was here, what it said of itself, whether letters are missing."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Select

from lokole.mailbox import accounts, jobs, options, packages, tenants
from lokole.mailbox.database import Connection, from_micros
from lokole.mailbox.tenants import PREPARING
from lokole.server.control_records import HEALTH_OPTION
from lokole.server.nights import nights_missed, weak_signal
from lokole.server.reconcile import HELD_OPTION


@dataclass(frozen=True, slots=True)
class BoxState:
    """One box, ``no`` its row; ``state`` that of the row, or ``given-up`` when it could not be made ready; ``health`` is its newest line (protocol 7.8), ``health_at`` when it was heard, ``missing`` None when nothing was compared."""

    no: int
    domain: str
    state: str
    people: int
    waiting: int
    last_visit_at: datetime | None
    nights_missed: int
    missing: int | None = None
    letters: int = 0
    health: dict[str, Any] = field(default_factory=dict)
    health_at: datetime | None = None

    @property
    def sentence(self) -> str:
        """What an operator wants to read first."""
        said = [] if self.missing is None else [f"{self.missing:,} missing of {self.letters:,} in 30 days"]
        if self.nights_missed:
            nights = "1 night" if self.nights_missed == 1 else f"{self.nights_missed:,} nights"
            said.insert(0, f"missed {nights}{weak_signal(self.health)}")
        return "; ".join(said)

    def fields(self) -> dict[str, Any]:
        """For programs."""
        return {
            "domain": self.domain,
            "state": self.state,
            "people": self.people,
            "waiting": self.waiting,
            "last_visit": None if self.last_visit_at is None else self.last_visit_at.isoformat(),
            "nights_missed": self.nights_missed,
            "sentence": self.sentence,
            "health": self.health,
            "health_at": None if self.health_at is None else self.health_at.isoformat(),
        }


def list_boxes(tx: Connection, now: datetime, whose: Select[tuple[int]] | None = None) -> list[BoxState]:
    """The boxes by domain, all or ``whose`` (:func:`tenants.numbers`): as many statements for ten thousand as for one."""
    people = accounts.count_by_tenant(tx, whose)
    waiting = packages.waiting_by_tenant(tx, "down", whose)
    held = options.by_tenant(tx, HELD_OPTION, whose)
    health = options.by_tenant(tx, HEALTH_OPTION, whose)
    given_up = jobs.dead_keys(tx, "prepare")

    def state_of(row: tenants.TenantRow) -> str:
        return "given-up" if row.state == PREPARING and row.device_id in given_up else row.state

    return [
        _state(
            row,
            state_of(row),
            now,
            people.get(row.no, 0),
            waiting.get(row.no, 0),
            held.get(row.no) or {},
            health.get(row.no) or {},
        )
        for row in tenants.list_tenants(tx, whose)
    ]


def _state(
    row: tenants.TenantRow,
    state: str,
    now: datetime,
    people: int,
    waiting: int,
    held: dict[str, Any],
    said: dict[str, Any],
) -> BoxState:
    return BoxState(
        no=row.no,
        domain=row.domain,
        state=state,
        people=people,
        waiting=waiting,
        last_visit_at=row.last_visit_at,
        nights_missed=nights_missed(row, said.get("said"), now),
        missing=held.get("missing"),
        letters=held.get("letters", 0),
        health=said.get("said", {}),
        health_at=from_micros(said["at"]) if "at" in said else None,
    )
