"""What is wrong with a server, and what to do about it: one line for each thing.

Nothing is changed but a blob, which is made and removed again. Nothing of a letter, and no secret, is in any line.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import func, select

from lokole.mail.errors import LokoleError, Permanent, Temporary
from lokole.mailbox import jobs, options, tenants
from lokole.mailbox.database import from_micros
from lokole.mailbox.schema import job
from lokole.mailbox.tenants import CLAIMED, PREPARING, WAITING, TenantRow
from lokole.ports.checkable import Checkable
from lokole.server import certificates
from lokole.server.control_records import HEALTH_OPTION
from lokole.server.dns_records import check_records
from lokole.server.drivers import open_broker
from lokole.server.nights import nights_missed, weak_signal
from lokole.server.ports import ServerPorts
from lokole.server.settings import ServerSettings, split_listen

State = Literal["good", "warning", "bad"]

#: free bytes, below which it is time to act, or too late to wait
_LITTLE, _TOO_LITTLE = 2 * 2**30, 256 * 2**20
_LATE = timedelta(minutes=15)
_SOON = timedelta(days=14)
#: of boxes whose DNS is asked in one go; each takes a moment
MOST_DOMAINS = 200


@dataclass(frozen=True, slots=True)
class Finding:
    """One line: ``name`` is a stable word, ``advice`` what to do, empty where nothing is to be done."""

    name: str
    state: State
    sentence: str
    advice: str = ""

    @property
    def line(self) -> str:
        """For people."""
        sign = {"good": "ok     ", "warning": "warning", "bad": "BAD    "}[self.state]
        return f"{sign} {self.name}: {self.sentence}{f'  -> {self.advice}' if self.advice else ''}"

    def fields(self) -> dict[str, Any]:
        """For programs."""
        return asdict(self)


def examine(ports: ServerPorts) -> Iterator[Finding]:
    """Every finding, as it is made; the slow ones, which ask the world, come last."""
    for name, look in _LOOKS:
        try:
            yield from look(ports)
        except Exception as error:
            # of an error that is not ours only its type: its text may quote anything
            said = str(error) if isinstance(error, LokoleError) else type(error).__name__
            yield Finding(name, "bad", f"it could not be looked at: {said}", "see the log of the server")


def _blobs(ports: ServerPorts) -> Iterator[Finding]:
    key = f"doctor/{ports.entropy(8).hex()}"
    ports.blobs.put(key, b"doctor")
    found = ports.blobs.read(key)
    ports.blobs.delete(key)
    if found == b"doctor":
        yield Finding("blobs", "good", "what is written can be read")
    else:
        yield Finding("blobs", "bad", "what is written reads otherwise", "look at the store in LOKOLE_BLOBS")


def _clock(ports: ServerPorts) -> Iterator[Finding]:
    told = ports.database.time()
    if told is None:
        return
    apart = abs(ports.clock() - told)
    if apart * 4 > ports.settings.lease:
        # whoever is ahead takes over what another one has in hand, and a letter is sent twice
        advice = "let every machine take its time from the network (systemd-timesyncd, chrony)"
        yield Finding("clock", "bad", f"{apart.total_seconds():.0f} seconds from the database's", advice)
    else:
        yield Finding("clock", "good", "the same as the database's")


def _queue(ports: ServerPorts) -> Iterator[Finding]:
    now = ports.clock()
    with ports.database.read() as tx:
        ready, dead = jobs.count_jobs(tx, "ready"), jobs.count_jobs(tx, "dead")
        query = select(func.min(func.coalesce(job.c.lease_until, jobs.due_since()))).where(job.c.state == "ready")
        first = tx.execute(query).scalar()
    overdue = timedelta() if first is None else now - from_micros(first)
    if overdue > _LATE:
        advice = "is `lokole server`, or `lokole worker`, running? It looks for work once a second"
        yield Finding("queue", "bad", f"{ready} pieces of work, one of them due for {_spell(overdue)}", advice)
    else:
        yield Finding("queue", "good", f"{ready} pieces of work, none overdue")
    if dead:
        advice = "`lokole server again` lists it, and `lokole server again --all` tries it once more"
        yield Finding("given-up", "warning", f"{dead} pieces of work were given up", advice)


def _disk(ports: ServerPorts) -> Iterator[Finding]:
    free = shutil.disk_usage(ports.settings.data).free
    state: State = "bad" if free < _TOO_LITTLE else "warning" if free < _LITTLE else "good"
    advice = "" if state == "good" else "make room, or shorten LOKOLE_RETENTION; without room no letter is taken in"
    yield Finding("disk", state, f"{free // 2**20:,} MB free in {ports.settings.data}", advice)


def _alarm(ports: ServerPorts) -> Iterator[Finding]:
    if ports.settings.alarm_to or ports.tell is not None:
        yield Finding("alarm", "good", "somebody is told when a box stays away")
    else:
        advice = "set LOKOLE_ALARM_TO to your address, or LOKOLE_ALARM_WEBHOOK"
        yield Finding("alarm", "warning", "nobody is told when a box stays away, or letters wait for you", advice)


def _smtp_certificate(ports: ServerPorts) -> Iterator[Finding]:
    certificate, key = ports.settings.smtp_tls_certificate, ports.settings.smtp_tls_key
    if certificate is not None and key is not None:
        yield _certificate("smtp-tls", ports.clock(), lambda: certificates.end_of_file(certificate, key))
    elif _is_open_to_the_world(ports.settings.smtp_listen):
        advice = "set LOKOLE_SMTP_TLS_CERTIFICATE and LOKOLE_SMTP_TLS_KEY"
        yield Finding("smtp-tls", "warning", "letters come in at port 25 without encryption", advice)


def _is_open_to_the_world(listen: str) -> bool:
    return listen != "off" and split_listen("LOKOLE_SMTP_LISTEN", listen)[1] == 25


def _web_certificate(ports: ServerPorts) -> Iterator[Finding]:
    address = ports.settings.address
    if address is None:
        advice = "set LOKOLE_ADDRESS to where the world reaches this server, so that its certificate can be looked at"
        yield Finding("web-tls", "warning", "not looked at", advice)
    elif address.startswith("https:"):
        yield _certificate("web-tls", ports.clock(), lambda: certificates.end_at(address))


def _certificate(name: str, now: datetime, end: Callable[[], datetime]) -> Finding:
    try:
        left = end() - now
    except Temporary as error:
        return Finding(name, "bad", str(error), "is the web server in front running, and its port open?")
    except Permanent as error:
        return Finding(name, "bad", f"the certificate is not good: {error}", "renew it, or put the right one there")
    if left < timedelta():
        return Finding(name, "bad", "the certificate has ended", "renew it")
    if left < _SOON:
        return Finding(name, "warning", f"the certificate ends in {_spell(left)}", "its renewal does not seem to work")
    return Finding(name, "good", f"the certificate is good for {left.days} days")


def _providers(ports: ServerPorts) -> Iterator[Finding]:
    adapters: tuple[tuple[str, object], ...] = (
        ("sign-in", ports.identity),
        ("dns-provider", ports.dns),
        ("mail-in", ports.intake),
        ("mail-out", ports.mail_out),
        ("verdicts", ports.judge),
    )
    for name, adapter in adapters:
        if not isinstance(adapter, Checkable):
            continue
        try:
            yield Finding(name, "good", adapter.check())
        except Temporary as error:
            yield Finding(name, "bad", str(error), "is it out of reach from here, or is the key wrong?")
        except Permanent as error:
            yield Finding(name, "bad", str(error), "mend the key or its permissions at the provider")


def _broker(ports: ServerPorts) -> Iterator[Finding]:
    if not ports.settings.has_broker:
        return
    broker = open_broker(ports.settings)
    try:
        count = broker.waiting()
    except Temporary as error:
        advice = (
            "is it running, and LOKOLE_JOBS right? Until it is back work waits in the database, and no letter leaves"
        )
        yield Finding("broker", "bad", str(error), advice)
    else:
        said = "not asked: its own tools say how it is" if count is None else f"it answers, {count} messages wait"
        yield Finding("broker", "good", said)
    finally:
        broker.close()


def _boxes(ports: ServerPorts) -> Iterator[Finding]:
    now = ports.clock()
    with ports.database.read() as tx:
        rows = tenants.list_tenants(tx)
        health = options.by_tenant(tx, HEALTH_OPTION)
        stuck = {row.no for row in rows if row.state == PREPARING and jobs.is_dead(tx, "prepare", row.device_id)}
    for row in rows:
        name, said = f"box {row.domain}", (health.get(row.no) or {}).get("said")
        nights = nights_missed(row, said, now)
        if row.no in stuck:
            yield Finding(
                name,
                "bad",
                "it could not be made ready",
                "mend what /api/email/metrics/trouble says, then `lokole server again`",
            )
        elif nights:
            yield Finding(
                name, "warning", f"it has missed {nights} nights{weak_signal(said)}", "call whoever looks after it"
            )
    claimed = sum(row.state == CLAIMED for row in rows)
    yield Finding("boxes", "good", f"{len(rows)} domains, {claimed} with a box")


def _records(ports: ServerPorts) -> Iterator[Finding]:
    with ports.database.read() as tx:
        rows = [row for row in tenants.list_tenants(tx) if row.state in (WAITING, CLAIMED)]
    for row in rows[:MOST_DOMAINS]:
        yield _records_of(ports, row)
    if len(rows) > MOST_DOMAINS:
        advice = "ask for the others with `lokole server dns DOMAIN`"
        yield Finding("dns", "warning", f"only {MOST_DOMAINS} of {len(rows)} domains were looked at", advice)


def _records_of(ports: ServerPorts, row: TenantRow) -> Finding:
    name, found = f"dns {row.domain}", check_records(ports, row.domain)
    advice = f"lokole server dns {row.domain}"
    if not found:
        return Finding(name, "warning", "no record is known to be needed", "set LOKOLE_MX or LOKOLE_HOST_NAME")
    wrong = [f"{one.wanted.type} of {one.wanted.name} is {one.state}" for one in found if one.state != "right"]
    if not wrong:
        return Finding(name, "good", f"{len(found)} records are right")
    # without its MX no letter arrives; the others make mail from there less welcome
    is_bad = any(one.wanted.type == "MX" and one.state in ("missing", "different") for one in found)
    return Finding(name, "bad" if is_bad else "warning", "; ".join(wrong), advice)


def _spell(time: timedelta) -> str:
    if time >= timedelta(days=2):
        return f"{time.days} days"
    hours = time // timedelta(hours=1)
    return f"{hours} hours" if hours > 1 else f"{time // timedelta(minutes=1)} minutes"


_LOOKS: tuple[tuple[str, Callable[[ServerPorts], Iterator[Finding]]], ...] = (
    ("blobs", _blobs),
    ("clock", _clock),
    ("queue", _queue),
    ("disk", _disk),
    ("boxes", _boxes),
    ("alarm", _alarm),
    ("smtp-tls", _smtp_certificate),
    ("web-tls", _web_certificate),
    ("providers", _providers),
    ("broker", _broker),
    ("dns", _records),
)


def data_finding(settings: ServerSettings) -> Finding | None:
    """What is wrong with the folder of everything, before anything is made in it; None when nothing is."""
    data = settings.data
    if not data.is_dir():
        return Finding("data", "bad", f"there is no folder {data}", "start `lokole server` once, as its own user")
    if settings.database is None and not (data / "lokole.db").exists():
        # whoever opens it makes it, and it would be theirs: the server could not write there
        return Finding("database", "bad", "there is none yet", "lokole migrate server, as the server's own user")
    return None


__all__ = ["Finding", "data_finding", "examine"]
