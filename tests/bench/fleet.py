"""The status page's question about 10,000 boxes: how long the server works on its answer, and how many statements it takes.

A month of nightly visits stands behind each box. The first Lokole asked two metrics box by box, each over HTTP.
"""

from __future__ import annotations

import base64
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Table, event, func, select

from lokole.mailbox import schema
from lokole.mailbox.database import Database, to_micros
from lokole.mailbox.options import set_option
from lokole.server.control_records import HEALTH_OPTION
from lokole.server.reconcile import HELD_OPTION
from lokole.sync.ids import email_id
from tests.bench.measure import Figure, tree_cpu_seconds
from tests.e2e.processes import REGISTRATION, Line, server

BOXES = 10_000
_PATHS = ("/api/email/metrics/boxes", "/api/email/metrics/trouble")
_TIMES = 3


def measure() -> Iterator[Figure]:
    with tempfile.TemporaryDirectory() as folder, server(Path(folder), settings={"LOKOLE_WORKERS": "0"}) as centre:
        with closing(Database(f"sqlite:///{centre.settings['LOKOLE_DATA']}/lokole.db")) as database:
            fill_fleet(database, BOXES, datetime.now(UTC))
        secret = base64.b64encode(":".join(REGISTRATION).encode()).decode()
        for path in _PATHS:
            with closing(Line(centre.http_port)) as line:
                cpu, wall = tree_cpu_seconds(centre.process.pid), time.perf_counter()
                for _ in range(_TIMES):
                    answer = line("GET", path, headers={"Authorization": f"Basic {secret}"})
                    assert answer.status == 200, (answer.status, answer.body[:300])
                    assert len(answer.json()["boxes"]) == BOXES
                name = f"{path.rpartition('/')[2]}_10k"
                yield Figure(f"{name}_cpu_s", (tree_cpu_seconds(centre.process.pid) - cpu) / _TIMES, "s")
                yield Figure(f"wall_{name}_s", (time.perf_counter() - wall) / _TIMES, "s")


@contextmanager
def counted_statements(database: Database) -> Iterator[list[str]]:
    """Every statement that Core executes on ``database`` while the block lasts."""
    found: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        found.append(statement)

    event.listen(database.engine, "before_cursor_execute", note)
    try:
        yield found
    finally:
        event.remove(database.engine, "before_cursor_execute", note)


def fill_fleet(
    database: Database, boxes: int, now: datetime, *, people: int = 10, letters: int = 3, nights: int = 30
) -> None:
    """Add ``boxes`` claimed boxes: each with ``people``, ``letters`` that wait, a package each way a night, and what it said of itself."""
    at = to_micros(now)
    with database.write() as tx:
        first = int(tx.execute(select(func.coalesce(func.max(schema.tenant.c.no), 0))).scalar_one()) + 1
        numbers = range(first, first + boxes)
        _add(tx, schema.tenant, [_tenant(no, at) for no in numbers])
        _add(tx, schema.account, [_person(no, n, at) for no in numbers for n in range(people)])
        order = int(tx.execute(select(func.coalesce(func.max(schema.email.c.order_no), 0))).scalar_one()) + 1
        places = [(order + i * letters + n, no) for i, no in enumerate(numbers) for n in range(letters)]
        _add(tx, schema.email, [_letter(place, no, at) for place, no in places])
        _add(
            tx,
            schema.waiting,
            [{"tenant": no, "email": place, "direction": "down", "state": "waiting"} for place, no in places],
        )
        for night in range(nights):
            moment = to_micros(now - timedelta(days=night))
            _add(tx, schema.package, [_package(no, way, night, moment) for no in numbers for way in ("up", "down")])
        for no in numbers:
            said = {"version": "1.0", "reads": [1, 2], "free": 4096, "waiting": 0, "apart": 0, "missing": 0}
            set_option(tx, no, HEALTH_OPTION, {"said": said, "at": at, "epoch": 1, "seq": 1})
            set_option(tx, no, HELD_OPTION, {"missing": 0, "letters": 900, "at": at})


def _add(tx: Any, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    if rows:
        tx.execute(table.insert(), rows)


def _tenant(no: int, at: int) -> dict[str, Any]:
    return {
        "no": no,
        "domain": f"box{no}.lokole.test",
        "device_id": f"device-{no}",
        "owner": "",
        "state": "claimed",
        "v1": False,
        "webhook_secret": f"secret-{no}",
        "last_visit_at": at,
        "created_at": at,
    }


def _person(no: int, n: int, at: int) -> dict[str, Any]:
    flags = dict.fromkeys(("is_admin", "suspended", "must_change_password", "roaming"), False)
    return {"tenant": no, "name": f"person{n}", "version": 1, "sent_version": 1, "created_at": at, **flags}


def _letter(place: int, no: int, at: int) -> dict[str, Any]:
    texts = ("message_id", "in_reply_to", "references", "conversation", "sender_name", "preview")
    return {
        "order_no": place,
        "tenant": no,
        "id": email_id("bench", 1, place),
        "received_at": at,
        "sent_at_doubtful": False,
        "sender_address": "bob@example.org",
        "recipients_line": "",
        "subject": "Hello",
        "attachment_count": 0,
        "body": "x" * 1300,
        **dict.fromkeys(texts, ""),
    }


def _package(no: int, way: str, night: int, at: int) -> dict[str, Any]:
    return {
        "tenant": no,
        "epoch": 1,
        "direction": way,
        "seq": night + 1,
        "sha256": f"{no:032x}{night:031x}{int(way == 'up')}",
        "size": 20_000,
        "type": "",
        "blob": "",
        "letters": 30,
        "state": "unpacked" if way == "up" else "acknowledged",
        "created_at": at,
        "changed_at": at,
    }


if __name__ == "__main__":
    for figure in measure():
        print(figure)
