"""Silence is the alarm: the operator is told when a box stays away or its health turns, once, and once when it is over.

What the operator has been told is rows, so that a restart tells nothing twice; a row and the work of telling it are one transaction,
so that nothing is told by halves, and of two processes one tells it. One round is one message, however many boxes it is about.

No clock decides. A night is missed when the calendar has gone on by a day, seen from the round before, and the box was not here
though it was to come by its own hours (``server/nights.py``);
a date that is not one of the next seven is a clock that was set, and no night (as in ``mailbox/ageing.py``).
"""

from __future__ import annotations

import hashlib
import json
import shutil
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.message import EmailMessage
from email.policy import SMTP
from typing import Any

from sqlalchemy import delete, func, select

from lokole.mail.errors import Permanent
from lokole.mailbox import jobs, options, tenants
from lokole.mailbox.database import Connection, to_micros
from lokole.mailbox.jobs import Job
from lokole.mailbox.options import set_option
from lokole.mailbox.schema import alarm, job
from lokole.mailbox.tenants import CLAIMED, TenantRow
from lokole.mailbox.upsert import insert_new
from lokole.server import provider_trouble
from lokole.server.control_records import HEALTH_OPTION
from lokole.server.nights import Plan, read_plan, weak_signal
from lokole.server.ports import ServerPorts

#: a box with less room, in megabytes, will soon take no letter in
LITTLE_ROOM = 256
#: a server with less, in megabytes, will soon take no letter in either, and then cannot tell anybody
LITTLE_DISK = 1024
#: a letter that was tried so often has waited for eight hours, and so many of them wait for more than their recipients
MANY_TRIES, MANY_UNSENT = 8, 10
#: a letter that waits for so many days did not leave at several visits
LONG_DAYS = 8
KIND = "alarm"
#: of troubles that one message names; the rest is counted
MOST_NAMED = 100
_NIGHTS_OPTION = "nights_away"
_MOST_DAYS = 7
_TOLD = insert_new(alarm)

#: kind of trouble to a sentence about a box (or, without one, the server); ``number`` and ``word`` come with the trouble
_SENTENCES = {
    "nights": "has missed {number} nights{word}",
    "room": "has {number} MB of room left",
    "clock": "has a clock that went back",
    "visit": "could not finish its last visit ({word})",
    "waiting": "has {number} letters that wait for more than two days",
    "oldest": "has a letter that waits for {number} days",
    "card": "has met {number} errors on its card",
    "power": "gets too little power",
    "copied": "was last copied {number} days ago",
    "missing": "and the server miss {number} letters at one end",
    "apart": "has set {number} letters or packages apart that it cannot read",
    "twin": "seems to exist twice: its key came with a wrong counter",
    "given-up": "has given up {number} pieces of work (lokole server again)",
    "provider": "needs you: {word}",
    "unsent": "has {number} letters that could not leave for eight hours (lokole doctor)",
}
#: of these a box says a number only when something is wrong (protocol 7.8)
_COUNTS = ("waiting", "missing", "apart", "card", "copied")


@dataclass(frozen=True, slots=True)
class Trouble:
    """What is wrong with the box of ``domain``, or with the server itself without one."""

    kind: str
    domain: str = ""
    number: int = 0
    word: str = ""

    @property
    def key(self) -> str:
        if self.kind == "provider":  # the server may have several of them
            return f"{self.kind}:{hashlib.sha256(self.word.encode()).hexdigest()[:32]}"
        return f"{self.kind}:{self.domain}"

    @property
    def sentence(self) -> str:
        who = f"The box of {self.domain}" if self.domain else "The server"
        return f"{who} {_SENTENCES[self.kind].format(number=self.number, word=self.word)}."

    def fields(self) -> dict[str, Any]:
        """As it is kept, and told to programs."""
        return {"kind": self.kind, "domain": self.domain, "number": self.number, "word": self.word}


def look(ports: ServerPorts) -> None:
    """Go round once: queue a message for what is new and for what is over; may be repeated, and run in several processes."""
    now = ports.clock()
    with ports.database.write() as tx:
        rows = tenants.list_tenants(tx)
        found = {one.key: one for one in [*_of_boxes(ports, tx, rows, now), *_of_server(ports, tx)]}
        claimed = {row.domain for row in rows if row.state == CLAIMED}
        told = {row.key: Trouble(**json.loads(row.detail)) for row in tx.execute(select(alarm))}
        began = [one for key, one in found.items() if key not in told and _tell(tx, one, now)]
        ended = [one for key, one in told.items() if key not in found and _forget(tx, one)]
        # of a box that nobody expects any more nothing is over
        over = [one for one in ended if not one.domain or one.domain in claimed]
        if began or over:
            _queue(ports, tx, began, over, now)
    ports.bell.ring()


def run(ports: ServerPorts, job: Job) -> bool:
    """Tell one channel (ids: ``to``, ``began``, ``over``, ``more``)."""
    began = [Trouble(**one) for one in job.ids["began"]]
    over = [Trouble(**one) for one in job.ids["over"]]
    lines = [one.sentence for one in began]
    lines += [f"Over: {one.sentence}" for one in over]
    if job.ids["more"]:
        lines.append(f"And {job.ids['more']} more; see /api/email/metrics/trouble.")
    subject = lines[0].rstrip(".") + (f", and {len(lines) - 1} more" if len(lines) > 1 else "")
    to = str(job.ids["to"])
    if to:
        if to not in ports.settings.alarm_to:
            return False  # the settings have changed meanwhile
        sender = ports.settings.alarm_from or f"lokole@{ports.settings.host_name}"
        ports.mail_out.send(
            sender=sender, recipient=to, message=_message(sender, to, subject, lines, job.key, ports.clock())
        )
    elif ports.tell is not None:
        fields = {"began": [one.fields() for one in began], "over": [one.fields() for one in over]}
        ports.tell({"text": "\n".join(lines), **fields})
    return False


# --- what is wrong -------------------------------------------------------------------------------


def _of_boxes(ports: ServerPorts, tx: Connection, rows: list[TenantRow], now: datetime) -> list[Trouble]:
    twins = tenants.twins_seen(tx)
    nights = options.by_tenant(tx, _NIGHTS_OPTION)
    health = options.by_tenant(tx, HEALTH_OPTION)
    found: list[Trouble] = []
    for row in rows:
        if row.state != CLAIMED:
            continue
        said = (health.get(row.no) or {}).get("said")
        missed = _count_nights(tx, row, nights.get(row.no), read_plan(said), now)
        if missed >= ports.settings.alarm_nights:
            found.append(Trouble("nights", row.domain, missed, weak_signal(said)))
        if row.domain in twins:
            found.append(Trouble("twin", row.domain))
        found += _of_health(row.domain, said if isinstance(said, dict) else {})
    return found


def _of_health(domain: str, said: dict[str, Any]) -> list[Trouble]:
    """What a box says of itself (protocol 7.8); what it should not say says nothing."""

    def number(name: str) -> int:
        value = said.get(name)
        return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 2**53 else 0

    found = [Trouble(name, domain, number(name)) for name in _COUNTS if number(name)]
    if number("oldest") >= LONG_DAYS:
        found.append(Trouble("oldest", domain, number("oldest")))
    if said.get("power") == "low":
        found.append(Trouble("power", domain))
    free = said.get("free")
    if isinstance(free, int) and not isinstance(free, bool) and 0 <= free < LITTLE_ROOM:
        found.append(Trouble("room", domain, free))
    if said.get("clock") is True:
        found.append(Trouble("clock", domain))
    if isinstance(said.get("failed"), str):
        word = "".join(one for one in str(said["failed"])[:30] if one.isalnum() or one in " -_")
        found.append(Trouble("visit", domain, word=word))
    return found


def _of_server(ports: ServerPorts, tx: Connection) -> list[Trouble]:
    # work of telling that was given up is no reason to tell
    query = select(func.count()).select_from(job).where(job.c.state == "dead", job.c.kind != KIND)
    dead = int(tx.execute(query).scalar_one())
    found = [Trouble("given-up", number=dead)] if dead else []
    # tries are counted and no hours, for a clock may jump; a few letters always wait for somebody else's mail server
    waits = (job.c.kind == "send", job.c.state == "ready", job.c.attempts >= MANY_TRIES)
    unsent = int(tx.execute(select(func.count()).select_from(job).where(*waits)).scalar_one())
    found += [Trouble("unsent", number=unsent)] if unsent >= MANY_UNSENT else []
    # with SQLite everything stands on one disk; of many machines each would call over what another one has told
    with suppress(OSError):
        free = shutil.disk_usage(ports.settings.data).free // 2**20
        found += [Trouble("room", number=free)] if ports.database.is_sqlite and free < LITTLE_DISK else []
    # what letters wait for: in five days, or three at a provider, they would come back or be lost
    return found + [Trouble("provider", word=" ".join(one.split()).rstrip(".")) for one in provider_trouble.urgent(tx)]


def _count_nights(tx: Connection, row: TenantRow, known: Any, plan: Plan | None, now: datetime) -> int:
    """How many nights the box has missed, as far as rounds have seen them go by; of a box with a plan, those on which it was to come."""
    date = now.date().toordinal()
    last = 0 if row.last_visit_at is None else to_micros(row.last_visit_at)
    if not isinstance(known, dict) or known["last"] != [row.visits, last]:
        known, count = None, 0
    else:
        count = int(known["days"]) + (1 if 1 <= date - int(known["date"]) <= _MOST_DAYS else 0)
    noted = {"last": [row.visits, last], "date": date, "days": count}
    if noted != known:
        set_option(tx, row.no, _NIGHTS_OPTION, noted)
    if plan is None:
        # the night after a visit is not over when the next day begins
        return max(0, count - 1)
    # only days that rounds have seen go by: a clock that was set makes no night
    since = now - timedelta(days=count)
    if row.last_visit_at is not None and row.last_visit_at <= now:
        since = max(since, row.last_visit_at)
    return plan.missed(since, now)


# --- telling -------------------------------------------------------------------------------------


def _tell(tx: Connection, one: Trouble, now: datetime) -> bool:
    """Whether it is ours to tell that it began: another process may be a moment earlier."""
    values = {"key": one.key, "since": to_micros(now), "detail": json.dumps(one.fields(), sort_keys=True)}
    return _TOLD.run(tx, values) == 1


def _forget(tx: Connection, one: Trouble) -> bool:
    return tx.execute(delete(alarm).where(alarm.c.key == one.key)).rowcount == 1


def _queue(ports: ServerPorts, tx: Connection, began: list[Trouble], over: list[Trouble], now: datetime) -> None:
    named_began = began[:MOST_NAMED]
    named_over = over[: MOST_NAMED - len(named_began)]
    ids: dict[str, Any] = {
        "began": [one.fields() for one in named_began],
        "over": [one.fields() for one in named_over],
        "more": len(began) + len(over) - len(named_began) - len(named_over),
    }
    round_ = ports.entropy(8).hex()
    for n, to in enumerate((*ports.settings.alarm_to, *([""] if ports.tell is not None else []))):
        jobs.enqueue(tx, KIND, f"{round_}:{n}", {**ids, "to": to}, tenant=None, now=now)


def _message(sender: str, to: str, subject: str, lines: list[str], key: str, now: datetime) -> bytes:
    """A letter that a machine wrote (RFC 3834 section 5); its id is the same at every attempt."""
    message = EmailMessage(policy=SMTP)
    try:
        message["From"] = f"Lokole <{sender}>"
        message["To"] = to
        message["Subject"] = f"Lokole: {subject}"
    except ValueError as error:
        raise Permanent("an address in the settings is none") from error
    message["Date"] = now
    message["Message-ID"] = f"<alarm-{key.replace(':', '-')}@{sender.rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content("\n".join([*lines, "", "You are told once, and once more when it is over.", ""]))
    return message.as_bytes()


__all__ = ["KIND", "LITTLE_ROOM", "Trouble", "look", "run"]
