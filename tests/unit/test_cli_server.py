"""Commands of a server that look at all of it at once: what there is to do, and emptying it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import Result
from sqlalchemy import func, select

from lokole.adapters.blobs.folder import FolderBlobStore
from lokole.mail.errors import Refused
from lokole.mailbox import jobs
from lokole.mailbox.database import Database
from lokole.mailbox.schema import metadata
from lokole.server.emptying import empty
from tests.unit.server.place import OPERATOR, Place, message, place_in
from tests.unit.test_cli import run

DOMAIN = "a.lokole.test"
NAME = "mail.lokole.test"


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """A server with a box, and a letter that waits for it."""
    with place_in(tmp_path) as place:
        fill(place)
        yield place


def fill(place: Place) -> None:
    box = place.box(DOMAIN, ["ann"])
    assert place.webhook(box.webhook, message(text="hippopotamus"), [f"ann@{DOMAIN}"]).status_code == 200


def command(place: Place, *arguments: str, input: str | None = None) -> Result:
    return run(
        "server",
        *arguments,
        input=None if input is None else input.encode(),
        LOKOLE_DATA=str(place.ports.settings.data),
        LOKOLE_HOST_NAME=NAME,
        LOKOLE_MAIL_OUT="recorder:",
        LOKOLE_REGISTRATION_USERNAME=OPERATOR[0],
        LOKOLE_REGISTRATION_PASSWORD=OPERATOR[1],
    )


def rows(database: Database) -> int:
    with database.read() as tx:
        return sum(tx.execute(select(func.count()).select_from(table)).scalar_one() for table in metadata.sorted_tables)


def indexed(database: Database) -> int:
    """Letters that the search finds by the word in each of them."""
    some = " WHERE letter_words MATCH 'hippopotamus'" if database.is_sqlite else ""
    with database.read() as tx:
        return int(tx.exec_driver_sql(f"SELECT count(*) FROM letter_words{some}").scalar_one())


# --- queues --------------------------------------------------------------------------------------


def test_the_work_is_printed_by_kind_and_state(place: Place) -> None:
    with place.ports.database.write() as tx:
        for n in range(3):
            jobs.enqueue(tx, "send", str(n), {}, tenant=None, now=place.clock())
        taken = jobs.lease(tx, now=place.clock(), lease_seconds=60, entropy=place.ports.entropy)
        assert taken is not None
        jobs.fail(tx, taken, now=place.clock(), retry_in=None, error="1: KeyError")
    shown = command(place, "queues")
    assert shown.exit_code == 0
    lines = [json.loads(line) for line in shown.stdout.splitlines()]
    assert {"queue": "send", "state": "ready", "count": 2} in lines
    assert {"queue": "send", "state": "dead", "count": 1} in lines
    assert {line["queue"] for line in lines} >= {"prepare", "receive", "send"}
    assert all(set(line) == {"queue", "state", "count"} for line in lines)
    assert command(place, "queues", "--clear").stdout == shown.stdout, "rows are never cleared"


def test_queues_of_a_broker_that_is_away_say_so(tmp_path: Path) -> None:
    shown = run(
        "server",
        "queues",
        LOKOLE_DATA=str(tmp_path),
        LOKOLE_JOBS="amqp://guest@127.0.0.1:9/",
        LOKOLE_JOBS_PASSWORD="guest",
        LOKOLE_MAIL_OUT="recorder:",
        LOKOLE_REGISTRATION_USERNAME=OPERATOR[0],
        LOKOLE_REGISTRATION_PASSWORD=OPERATOR[1],
    )
    assert shown.exit_code == 75
    assert shown.stderr.startswith("The broker was not reached")


# --- empty ---------------------------------------------------------------------------------------


def test_a_server_on_which_anything_waits_is_not_emptied(place: Place) -> None:
    before = rows(place.ports.database)
    shown = command(place, "empty", "--yes")
    assert shown.exit_code == 1
    assert "on their way: letters for boxes 1, packages of boxes 0, work 0" in shown.stderr
    assert rows(place.ports.database) == before


@pytest.mark.parametrize("typed", ["", "mail", "y", NAME.upper()])
def test_only_the_name_of_the_server_empties_it(place: Place, typed: str) -> None:
    before = rows(place.ports.database)
    shown = command(place, "empty", "--with-what-waits", input=f"{typed}\n")
    assert shown.exit_code == 2
    assert f"{NAME} keeps domains: 1, letters: 1; on their way:" in shown.stderr
    assert "Nothing was deleted." in shown.stderr
    assert rows(place.ports.database) == before


def test_an_emptied_server_begins_anew(place: Place, tmp_path: Path) -> None:
    store = FolderBlobStore(tmp_path / "blobs")
    store.put(f"{DOMAIN}/0123", b"a file")
    with place.ports.database.read() as tx:
        epoch = tx.exec_driver_sql("SELECT epoch FROM database_identity").scalar_one()
    shown = command(place, "empty", "--with-what-waits", input=f"{NAME}\n")
    assert (shown.exit_code, json.loads(shown.stdout)) == (0, {"domains": 1, "letters": 1, "blobs": 1})
    assert list(store.list()) == []
    assert rows(place.ports.database) == 0
    again = command(place, "empty", "--yes")
    assert json.loads(again.stdout) == {"domains": 0, "letters": 0, "blobs": 0}
    assert command(place, "queues").stdout == ""
    with place.ports.database.read() as tx:
        assert tx.exec_driver_sql("SELECT epoch FROM database_identity").scalar_one() != epoch
    fill(place)
    assert place.pending(DOMAIN) == 1


def test_a_server_whose_letters_have_all_arrived_is_emptied_without_more(place: Place) -> None:
    check_emptying(place)


def check_emptying(place: Place) -> None:
    """Also run on PostgreSQL, of a place with one letter that waits."""
    ports = place.ports
    with pytest.raises(Refused, match="letters for boxes 1"):
        empty(ports.database, [ports.blobs])
    place.client.delete(f"/api/email/register/{DOMAIN}", auth=OPERATOR)
    box = place.box(DOMAIN, ["ann"])
    place.webhook(box.webhook, message(text="hippopotamus"), [f"ann@{DOMAIN}"])
    assert len(box.fetch()) == 1
    place.work()
    assert indexed(ports.database) == 1
    found, blobs = empty(ports.database, [ports.blobs])
    assert (found.domains, found.letters, found.is_idle) == (1, 1, True)
    assert blobs > 0
    assert list(ports.blobs.list()) == []
    assert rows(ports.database) == 0
    assert indexed(ports.database) == 0
