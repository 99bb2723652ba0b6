"""What Prometheus reads at ``/metrics``: numbers of the database, of this process, and counts of what happened; no name of anybody.

Each scrape is a handful of queries whose number does not grow with the boxes.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy import func, select

from lokole import __version__
from lokole.mailbox import options, tenants
from lokole.mailbox.database import Connection, to_micros
from lokole.mailbox.jobs import due_since
from lokole.mailbox.schema import alarm, job, package, quarantine, waiting
from lokole.mailbox.tenants import CLAIMED, PREPARING, WAITING
from lokole.server.control_records import HEALTH_OPTION
from lokole.server.counting import EVENTS, read_events
from lokole.server.jobs import KINDS
from lokole.server.nights import nights_missed
from lokole.server.ports import ServerPorts

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def write_metrics(ports: ServerPorts) -> bytes:
    """All numbers in Prometheus' text format, as of now; what this process has counted is written down first."""
    ports.events.write(ports.database)
    registry = CollectorRegistry()
    registry.register(_Numbers(ports))
    ProcessCollector(registry=registry)
    return generate_latest(registry)


class _Numbers(Collector):
    def __init__(self, ports: ServerPorts) -> None:
        self._ports = ports

    def collect(self) -> Iterator[Metric]:
        now = self._ports.clock()
        with self._ports.database.read() as tx:
            found = [*_jobs(tx, now), *_boxes(tx, now), *_letters(tx), *_events(tx)]
        version = GaugeMetricFamily("lokole_version", "Always 1; the label is the version.", labels=["version"])
        version.add_metric([__version__], 1)
        yield version
        yield from found


def _jobs(tx: Connection, now: datetime) -> Iterator[Metric]:
    count = GaugeMetricFamily("lokole_jobs", "Work that is to be done, or was given up.", labels=["kind", "state"])
    overdue = GaugeMetricFamily(
        "lokole_job_overdue_seconds", "For how long the work that is due for longest has been due.", labels=["kind"]
    )
    query = select(job.c.kind, job.c.state, func.count().label("number"), func.min(due_since()).label("first"))
    query = query.where(job.c.state.in_(("ready", "dead"))).group_by(job.c.kind, job.c.state)
    rows = {(row.kind, row.state): row for row in tx.execute(query)}
    for kind in sorted({*KINDS, *(kind for kind, _ in rows)}):
        for state in ("ready", "dead"):
            row = rows.get((kind, state))
            count.add_metric([kind, state], 0 if row is None else row.number)
        ready = rows.get((kind, "ready"))
        overdue.add_metric([kind], 0 if ready is None else max(0, to_micros(now) - ready.first) / 1_000_000)
    yield count
    yield overdue


def _boxes(tx: Connection, now: datetime) -> Iterator[Metric]:
    rows = tenants.list_tenants(tx)
    states = GaugeMetricFamily("lokole_boxes", "Domains by what they wait for.", labels=["state"])
    for state in (PREPARING, WAITING, CLAIMED):
        states.add_metric([state], sum(row.state == state for row in rows))
    health = options.by_tenant(tx, HEALTH_OPTION)
    missed = [nights_missed(row, (health.get(row.no) or {}).get("said"), now) for row in rows]
    yield states
    yield GaugeMetricFamily("lokole_boxes_away", "Boxes that have missed a night.", value=sum(map(bool, missed)))
    yield GaugeMetricFamily("lokole_nights_missed", "Nights that boxes have missed, all together.", value=sum(missed))
    open_alarms = tx.execute(select(func.count()).select_from(alarm)).scalar_one()
    yield GaugeMetricFamily("lokole_alarms", "Troubles that the operator was told of and that last.", value=open_alarms)


def _letters(tx: Connection) -> Iterator[Metric]:
    state = waiting.c.state != "delivered"
    count = tx.execute(
        select(func.count()).select_from(waiting).where(waiting.c.direction == "down", state)
    ).scalar_one()
    yield GaugeMetricFamily("lokole_letters_waiting", "Letters that no box has acknowledged.", value=count)
    held = select(func.count()).select_from(package).where(package.c.direction == "up", package.c.state == "held")
    unread = tx.execute(held).scalar_one()
    yield GaugeMetricFamily("lokole_packages_unread", "Packages of boxes that are held and not read yet.", value=unread)
    apart = GaugeMetricFamily("lokole_quarantine", "Letters and packages that stand apart.", labels=["kind"])
    kinds = select(quarantine.c.kind, func.count().label("number")).where(quarantine.c.resolved_at.is_(None))
    for row in tx.execute(kinds.group_by(quarantine.c.kind)):
        apart.add_metric([row.kind], row.number)
    yield apart


def _events(tx: Connection) -> Iterator[Metric]:
    counts = CounterMetricFamily("lokole_events", "What happened: " + "; ".join(
        f"{name}: {what}" for name, what in EVENTS.items()
    ) + ".", labels=["event"])  # fmt: skip
    for name, count in read_events(tx).items():
        counts.add_metric([name], count)
    yield counts
