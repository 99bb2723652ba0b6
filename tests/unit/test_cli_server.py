"""Commands of a server that look at all of it at once: what there is to do, and emptying it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from sqlalchemy import func, select

from lokole.adapters.blobs.folder import FolderBlobStore
from lokole.mail.errors import Refused
from lokole.mailbox import jobs
from lokole.mailbox.database import Database
from lokole.mailbox.quarantine import quarantine
from lokole.mailbox.schema import metadata
from lokole.server import receive
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


# --- again, apart --------------------------------------------------------------------------------


def given_up(place: Place, *keys: str) -> None:
    """Work of no use that was given up under these keys."""
    with place.ports.database.write() as tx:
        for key in keys:
            jobs.enqueue(tx, "notice", key, {"email": 0}, tenant=place.row(DOMAIN).no, now=place.clock())
            taken = jobs.lease(tx, now=place.clock(), lease_seconds=60, entropy=place.ports.entropy)
            assert taken is not None
            error = "3: KeyError at server/notices.py:1"
            jobs.fail(tx, taken, now=place.clock(), retry_in=None, error=error)


def lines_of(shown: Result) -> list[dict[str, Any]]:
    assert shown.exit_code == 0, shown.stderr
    return [json.loads(line) for line in shown.stdout.splitlines()]


def test_work_that_was_given_up_is_listed_and_tried_once_more(place: Place) -> None:
    assert command(place, "again").stdout == ""
    given_up(place, "one", "two", "three")
    listed = lines_of(command(place, "again"))
    numbers = [line.pop("number") for line in listed]
    assert numbers == sorted(numbers, reverse=True)
    told = {"kind": "notice", "domain": DOMAIN, "attempts": 1, "error": "KeyError at server/notices.py:1"}
    assert listed == [told] * 3
    assert lines_of(command(place, "again", str(numbers[1]))) == [{"again": 1}]
    assert [line["number"] for line in lines_of(command(place, "again"))] == [numbers[0], numbers[2]]
    assert (place.work(), place.jobs("dead", "notice"), place.jobs("done", "notice")) == (1, 2, 1)
    assert lines_of(command(place, "again", "--all")) == [{"again": 2}]
    assert (place.work(), place.jobs("dead"), command(place, "again").stdout) == (2, 0, "")
    missing = command(place, "again", str(numbers[1]))
    assert (missing.exit_code, missing.stderr) == (1, "No work of this number was given up.\n")
    assert command(place, "again", "1", "--all").exit_code == 2


def test_a_letter_that_could_not_be_read_is_written_to_a_file_and_read_once_more(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = message(subject="Odd", text="canarytext")

    def broken(*_: object, **__: object) -> None:
        raise KeyError("a fault of ours")

    with monkeypatch.context() as patch:
        patch.setattr(receive, "parse_email", broken)
        place.webhook(place.row(DOMAIN).webhook_secret, raw, [f"ann@{DOMAIN}"])
        (listed,) = lines_of(command(place, "apart"))
        number = str(listed.pop("number"))
        assert listed.pop("at").startswith("2026-03-01T12:00")
        assert listed == {
            "kind": "mime",
            "domain": DOMAIN,
            "source": "webhook",
            "reason": "not readable: KeyError",
            "bytes": True,
        }
        assert command(place, "apart", number, "--again").exit_code == 0
        assert place.work() == 1
        assert len(place.quarantined()) == 1, "it failed once more"
    (apart,) = place.quarantined()
    assert apart.raw_ref is not None
    FolderBlobStore(tmp_path / "blobs").put(apart.raw_ref, place.ports.blobs.read(apart.raw_ref))
    file = tmp_path / "letter.eml"
    assert command(place, "apart", number, "--to", str(file)).exit_code == 0
    assert (file.read_bytes(), file.stat().st_mode & 0o777) == (raw, 0o600)
    assert command(place, "apart", number, "--to", str(file)).exit_code == 1, "nothing is written over"
    assert command(place, "apart", number, "--again").exit_code == 0
    assert (place.work(), place.pending(DOMAIN)) == (1, 2)
    assert command(place, "apart").stdout == "", "what was read is settled"


def test_what_was_set_apart_is_settled_by_hand_and_what_is_no_letter_is_not_read_again(place: Place) -> None:
    place.webhook(place.row(DOMAIN).webhook_secret, message(), [f"postmaster@{DOMAIN}"])
    (listed,) = lines_of(command(place, "apart"))
    number = str(listed["number"])
    assert listed["kind"] == "dead-letter"
    again = command(place, "apart", number, "--again")
    assert (again.exit_code, again.stderr) == (1, "Only a letter that could not be read can be read again.\n")
    for wrong in ([number], ["--done"], ["--to", "x"]):
        assert command(place, "apart", *wrong).exit_code == 2
    assert command(place, "apart", number, "--done").exit_code == 0
    assert command(place, "apart").stdout == ""
    assert command(place, "apart", "999", "--done").exit_code == 1


def test_a_letter_whose_envelope_is_forgotten_is_not_read_again(place: Place) -> None:
    with place.ports.database.write() as tx:
        quarantine(
            tx,
            tenant=place.row(DOMAIN).no,
            kind="mime",
            source="smtp",
            reason="not readable: KeyError",
            raw_ref=f"{DOMAIN}/raw/{'0' * 64}",
            key="k",
            now=place.clock(),
        )
    (apart,) = place.quarantined()
    shown = command(place, "apart", str(apart.no), "--again")
    assert shown.exit_code == 1
    assert "write it to a file" in shown.stderr


def test_a_database_of_an_older_version_is_not_looked_into(tmp_path: Path) -> None:
    for name in ("again", "apart"):
        shown = run(
            "server",
            name,
            LOKOLE_DATA=str(tmp_path),
            LOKOLE_MAIL_OUT="recorder:",
            LOKOLE_REGISTRATION_USERNAME=OPERATOR[0],
            LOKOLE_REGISTRATION_PASSWORD=OPERATOR[1],
        )
        assert (shown.exit_code, shown.stderr) == (
            1,
            "The database is not at the step of this version: lokole migrate server.\n",
        )


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
