"""What the mailbox asks of its database, on both engines: the schema, transactions, two writers at once."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, delete, event, text
from sqlalchemy.exc import SQLAlchemyError

from lokole.mail.errors import Temporary
from lokole.mail.model import EmailId
from lokole.mailbox import entries, identity, jobs, letters, lists, packages, search
from lokole.mailbox.database import Database
from lokole.mailbox.identity import next_lamport
from lokole.mailbox.migrate import HEAD, is_ahead, is_current, migrate
from lokole.mailbox.schema import metadata, seen
from tests.mailbox_world import START, World, email_from, make_world


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'lokole.db'}"
    url: str = request.getfixturevalue("postgres_server").new_database()
    return url


@pytest.fixture
def world(empty_url: str) -> Iterator[World]:
    migrate(empty_url)
    database = Database(empty_url)
    yield make_world(database)
    database.close()


def test_the_migrations_build_what_the_schema_says(empty_url: str) -> None:
    migrate(empty_url)
    database = Database(empty_url)

    def ours(thing: object, name: str | None, kind: str, _reflected: bool, _other: object) -> bool:
        return not (kind == "table" and name is not None and name.startswith(("letter_words", "alembic_version")))

    with database.read() as tx:
        # SQLite writes an empty default otherwise than it was given; the next test compares its statements
        context = MigrationContext.configure(
            tx, opts={"compare_type": True, "compare_server_default": not database.is_sqlite, "include_object": ours}
        )
        assert compare_metadata(context, metadata) == []
    database.close()


def test_the_migrated_tables_are_word_for_word_those_of_the_schema_on_sqlite(tmp_path: Path) -> None:
    migrated, made = f"sqlite:///{tmp_path / 'a.db'}", f"sqlite:///{tmp_path / 'b.db'}"
    migrate(migrated)
    engine = create_engine(made)
    metadata.create_all(engine)
    engine.dispose()

    def statements(url: str) -> dict[str, list[str]]:
        database = Database(url)
        with database.read() as tx:
            rows = tx.execute(text("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL")).all()
        database.close()
        # the order of constraints is the only liberty
        return {
            name: sorted(part.strip() for part in sql.replace(") WITHOUT ROWID", ",)WITHOUT ROWID").split("\n"))
            for name, sql in rows
            if not name.startswith(("letter_words", "alembic_version"))
        }

    def tidy(found: dict[str, list[str]]) -> dict[str, list[str]]:
        # a column that came by ALTER TABLE stands at the end of its line
        pieces = {name: [piece.strip() for line in lines for piece in line.split(",")] for name, lines in found.items()}
        ends = {
            name: [one[:-1].strip() if one.count(")") > one.count("(") else one for one in some]
            for name, some in pieces.items()
        }
        return {name: sorted(one for one in some if one) for name, some in ends.items()}

    assert tidy(statements(migrated)) == tidy(statements(made))


def test_a_migration_may_be_repeated_and_keeps_what_is_there(world: World) -> None:
    with world.database.write() as tx:
        no = world.incoming(tx, [world.ann], body="<p>kept</p>")
    migrate(world.database.url)
    migrate(world.database.url)
    with world.database.read() as tx:
        assert [row.no for row in search.search(tx, world.ann, "kept").rows] == [no]


def test_a_database_ahead_of_this_release_is_good_enough_for_it(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """While servers are upgraded one after the other, and when the update of a box was cut off."""
    ahead = f"{int(HEAD) + 1:04}"
    with world.database.write() as tx:
        tx.execute(text("UPDATE alembic_version SET version_num = :ahead"), {"ahead": ahead})
        tx.execute(text("ALTER TABLE tenant ADD COLUMN added_later VARCHAR(10) DEFAULT 'x' NOT NULL"))
    assert is_current(world.database.url)
    assert [(one.levelname, ahead in one.getMessage()) for one in caplog.records] == [("WARNING", True)]
    migrate(world.database.url)
    with world.database.write() as tx:
        world.incoming(tx, [world.ann], body="<p>goes on</p>")
        assert tx.execute(text("SELECT version_num FROM alembic_version")).scalar_one() == ahead


@pytest.mark.parametrize("step", ["0001", "other", "99", "", None])
def test_only_a_number_after_ours_is_ahead(step: str | None, world: World) -> None:
    assert not is_ahead(step)
    with world.database.write() as tx:
        tx.execute(text("DELETE FROM alembic_version"))
        if step is not None:
            tx.execute(text("INSERT INTO alembic_version (version_num) VALUES (:step)"), {"step": step})
    assert not is_current(world.database.url)


def test_two_migrations_at_once_are_one(empty_url: str) -> None:
    assert not is_current(empty_url)
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(migrate, [empty_url] * 3))
    assert is_current(empty_url)


def test_head_is_the_newest_step() -> None:
    config = Config()
    config.set_main_option("script_location", "lokole.mailbox:migrations")
    config.set_main_option("path_separator", "os")
    assert ScriptDirectory.from_config(config).get_current_head() == HEAD


def test_a_database_elsewhere_tells_its_time(world: World) -> None:
    told = world.database.time()
    assert (told is None) == world.database.is_sqlite
    assert told is None or abs(datetime.now(UTC) - told) < timedelta(minutes=1)


def test_a_failed_transaction_leaves_nothing(world: World) -> None:
    with pytest.raises(ZeroDivisionError), world.database.write() as tx:
        world.written(tx, world.ann, to=("a@example.org", f"bob@{world.bob.domain}"))
        raise ZeroDivisionError
    with world.database.read() as tx:
        assert letters.count_letters(tx, world.tenant) == 0
        assert lists.counts(tx, world.ann).totals == {} and lists.counts(tx, world.bob).totals == {}
        assert list(packages.waiting_emails(tx, world.tenant, "up")) == []


def test_a_reader_sees_one_state_while_another_writes(world: World) -> None:
    with world.database.read() as reading:
        assert letters.count_letters(reading, world.tenant) == 0
        with world.database.write() as tx:
            world.incoming(tx, [world.ann])
        assert letters.count_letters(reading, world.tenant) == 0
    with world.database.read() as reading:
        assert letters.count_letters(reading, world.tenant) == 1


def test_many_writers_lose_nothing_and_count_right(world: World) -> None:
    """Four threads give the same person letters, read and delete them, and number new ones."""
    each, problems = 25, []
    start = threading.Barrier(4)

    def work(number: int) -> None:
        try:
            start.wait()
            for n in range(each):
                with world.database.write() as tx:
                    made = identity.next_email_id(tx, "device-1")
                    no, created = letters.store_email(
                        tx,
                        world.tenant,
                        email_from("out@example.org", body=f"<p>common {number} x{n}</p>"),
                        id=made,
                        received_at=START,
                        deliver_to=[world.ann.no, world.bob.no],
                    )
                    assert created
                with world.database.write() as tx:
                    lists.set_flag(tx, world.ann, no, "read", True, "device-1")
                    if n % 5 == 0:
                        lists.set_flag(tx, world.bob, no, "deleted", True, "device-1")
                with world.database.read() as tx:
                    lists.list_folder(tx, world.ann, "inbox")
        except BaseException as error:  # shown by the assertion below
            problems.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    with world.database.write() as tx:
        for counted in (1, 2):
            ann, bob = lists.counts(tx, world.ann), lists.counts(tx, world.bob)
            assert (ann.inbox_total, ann.unread, bob.inbox_total, bob.unread) == (100, 0, 80, 80), counted
            entries.recount(tx, world.tenant)
        assert search.search(tx, world.bob, "common").total == 80


def test_the_same_letter_from_two_writers_is_one(world: World) -> None:
    start = threading.Barrier(4)
    letter_id = EmailId(b"same letter's id")

    def store(_: int) -> tuple[int, bool]:
        start.wait()
        with world.database.write() as tx:
            return letters.store_email(
                tx,
                world.tenant,
                email_from("a@example.org"),
                id=letter_id,
                received_at=START,
                deliver_to=[world.ann.no],
            )

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(store, range(4)))
    assert len({no for no, _ in results}) == 1
    assert sorted(created for _, created in results) == [False, False, False, True]
    with world.database.read() as tx:
        assert lists.counts(tx, world.ann).inbox_total == 1


def test_no_job_is_leased_by_two_workers(world: World) -> None:
    with world.database.write() as tx:
        for n in range(40):
            jobs.enqueue(tx, "send", str(n), {}, tenant=world.tenant, now=START)
    start = threading.Barrier(4)

    def work(number: int) -> list[int]:
        start.wait()
        done: list[int] = []
        token = bytes([number]) * 16
        while True:
            with world.database.write() as tx:
                job = jobs.lease(tx, now=START, lease_seconds=60, entropy=lambda _: token)
            if job is None:
                return done
            with world.database.write() as tx:
                jobs.finish(tx, job)
            done.append(job.no)

    with ThreadPoolExecutor(4) as pool:
        found = [no for part in pool.map(work, range(4)) for no in part]
    assert len(found) == len(set(found)) == 40


def test_two_builders_of_packages_get_two_numbers(world: World) -> None:
    start = threading.Barrier(4)

    def build(number: int) -> int:
        start.wait()
        with world.database.write() as tx:
            seq = packages.next_seq(tx, world.tenant, 1, "up")
            packages.add_package(
                tx,
                world.tenant,
                epoch=1,
                direction="up",
                seq=seq,
                sha256=f"{number:064}",
                size=1,
                type="t",
                blob="b",
                letters=0,
                state="built",
                now=START,
            )
            return seq

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(build, range(4))) == [1, 2, 3, 4]


def test_a_database_out_of_reach_is_temporary_and_tells_nothing(tmp_path: Path) -> None:
    for url in (f"sqlite:///{tmp_path / 'no' / 'folder' / 'x.db'}", "postgresql://nobody@127.0.0.1:1/none"):
        database = Database(url)
        with pytest.raises(Temporary) as failure, database.read() as tx:
            tx.execute(text("SELECT :secret"), {"secret": "hush"})
        assert "hush" not in str(failure.value)
        database.close()


def test_a_locked_database_is_temporary(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'x.db'}"
    migrate(url)
    one, two = Database(url), Database(url, busy_timeout=timedelta(milliseconds=50))
    with one.write(), pytest.raises(Temporary), two.write():
        pass
    one.close()
    two.close()


def test_a_connection_that_can_only_read_is_given_up(tmp_path: Path) -> None:
    """SQLite opens a file for reading only when the disk refuses more just then, and says nothing."""
    path = tmp_path / "lokole.db"
    migrate(f"sqlite:///{path}")
    database = Database(f"sqlite:///{path}")
    refusals = [1]

    def connect(*_: object) -> sqlite3.Connection | None:
        if not refusals:
            return None  # as ever
        refusals.pop()
        return sqlite3.connect(f"file:{path}?mode=ro", uri=True, check_same_thread=False)

    event.listen(database.engine, "do_connect", connect)
    for statement in (delete(seen), None):
        refusals[:] = [1]
        database.close()
        with pytest.raises(Temporary), database.write() as tx:
            if statement is not None:
                tx.execute(statement)
            else:  # as upsert.py goes past Core
                driver: Any = tx.connection.dbapi_connection
                driver.execute("DELETE FROM seen")
        assert not refusals
        with database.write() as tx:
            tx.execute(delete(seen))
    database.close()


def test_errors_carry_no_words_of_a_letter(world: World) -> None:
    with pytest.raises(SQLAlchemyError) as failure, world.database.write() as tx:
        statement = text("INSERT INTO folder (no, tenant, account, id, name) VALUES (1, 999, 1, 'x', :name)")
        tx.execute(statement, {"name": "the words of a letter"})
    assert "the words" not in str(failure.value)


def test_sqlite_is_in_wal_and_flushes_every_commit(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'x.db'}"
    migrate(url)
    database = Database(url)
    for transaction in (database.read, database.write):
        with transaction() as tx:
            found = [
                tx.execute(text(f"PRAGMA {name}")).scalar() for name in ("journal_mode", "synchronous", "foreign_keys")
            ]
        assert found == ["wal", 2, 1]
    database.close()


def test_a_database_file_and_what_lies_beside_it_are_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    for name in ("new", "of an older version"):
        migrate(f"sqlite:///{path}")
        database = Database(f"sqlite:///{path}")
        with database.write() as tx:
            tx.execute(text("CREATE TABLE IF NOT EXISTS x (a)"))
            beside = sorted(tmp_path.iterdir())
            assert len(beside) == 3
            assert [one.name for one in beside if one.stat().st_mode & 0o077] == [], name
        database.close()
        path.chmod(0o644)


def test_flags_go_on_from_the_number_that_the_whole_database_had(empty_url: str) -> None:
    config = Config()
    config.set_main_option("script_location", "lokole.mailbox:migrations")
    config.set_main_option("path_separator", "os")
    database = Database(empty_url)
    with database.write() as tx:
        config.attributes["connection"] = tx
        command.upgrade(config, "0002")
        tx.execute(text("INSERT INTO database_identity (no, epoch, next_letter, lamport) VALUES (1, 5, 1, 41)"))
        tx.execute(
            text(
                "INSERT INTO tenant (no, domain, device_id, state, v1, webhook_secret, created_at)"
                " VALUES (7, 'a.lokole.ca', 'd', 'claimed', :no, 'w', 0)"
            ),
            {"no": False},
        )
    database.close()
    migrate(empty_url)
    database = Database(empty_url)
    with database.write() as tx:
        assert next_lamport(tx, 7) == 42
    database.close()


def test_only_a_brief_transaction_does_not_wait_for_the_disk(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'brief.db'}")
    found = []
    for brief in (False, True, False, True):
        with database.write(brief=brief) as tx:
            found.append(tx.exec_driver_sql("PRAGMA synchronous").scalar())
    full, normal = 2, 1
    assert found == [full, normal, full, normal]
    database.close()


def test_a_writer_waits_for_the_one_before_it_and_not_for_ever(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'turns.db'}", busy_timeout=timedelta(milliseconds=50))
    with database.write():
        with pytest.raises(Temporary), database.write():
            pytest.fail("two write at once")
        with database.read():
            pass  # nobody who reads waits
    with database.write():
        pass  # the turn was given back
    database.close()
