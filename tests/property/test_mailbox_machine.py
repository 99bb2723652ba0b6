"""Three people use one box at random, and a plain dictionary says what each of them has to see.

What one of them reads, moves or deletes never changes what the others see; numbers, pages, search and rights follow every step.
``LOKOLE_TEST_MACHINE_RUNS`` sets how many runs of fifty steps are made on SQLite. Hypothesis prints what replays a failure.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from lokole.mail.errors import NotFound
from lokole.mail.model import Contact, DeliveryState, Email, EmailId
from lokole.mailbox import entries, fulltext, letters, lists, packages, recipients, search
from lokole.mailbox.database import Database
from lokole.mailbox.migrate import migrate
from tests.mailbox_world import DOMAIN, START, World, make_world
from tests.servers import postgres

RUNS = int(os.environ.get("LOKOLE_TEST_MACHINE_RUNS", "40"))
NAMES = ("ann", "bob", "eve")
WORDS = ("water", "école", "marché", "waterfall")
FOLDED = {"water": "water", "école": "ecole", "marché": "marche", "waterfall": "waterfall"}
OUTSIDE = "far@example.org"

people = st.sampled_from(NAMES)
some_people = st.lists(people, unique=True, max_size=3)
some_words = st.lists(st.sampled_from(WORDS), unique=True, max_size=3)


@dataclass
class _Entry:
    written: bool
    flags: dict[str, tuple[Any, int, str]]

    def __getitem__(self, flag: str) -> Any:
        return self.flags[flag][0]


@dataclass
class _Letter:
    id: bytes
    words: frozenset[str]
    writer: str | None = None
    bcc: tuple[str, ...] = ()
    waiting: bool = False
    held: dict[str, _Entry] = field(default_factory=dict)


def _entry(folder: str, *, read: bool = False, written: bool = False) -> _Entry:
    values: dict[str, Any] = {"folder": folder, "read": read, "starred": False, "deleted": False}
    return _Entry(written, {flag: (value, 0, "") for flag, value in values.items()})


class MailboxMachine(RuleBasedStateMachine):
    """Every rule does one thing to the mailbox and to the dictionary ``model``; the invariant compares the two."""

    open_world: ClassVar[Any]
    sent_letters = Bundle("letters")

    def __init__(self) -> None:
        super().__init__()
        self.model: dict[int, _Letter] = {}
        self.lamport = 0
        self.made = 0
        self.context = type(self).open_world()
        self.world: World = self.context.__enter__()
        self.by_name = dict(zip(NAMES, self.world.people, strict=True))

    def teardown(self) -> None:
        self.context.__exit__(None, None, None)

    def _new_id(self) -> EmailId:
        self.made += 1
        return EmailId(self.made.to_bytes(16, "big"))

    @staticmethod
    def _email(words: list[str], to: list[str], bcc: list[str] | None = None) -> Email:
        return Email(
            sender=Contact(OUTSIDE),
            to=tuple(Contact(name if "@" in name else f"{name}@{DOMAIN}") for name in to),
            bcc=tuple(Contact(f"{name}@{DOMAIN}") for name in bcc or ()),
            subject=" ".join(words[:1]),
            body=f"<p>{' '.join(words[1:])}</p>",
        )

    @rule(target=sent_letters, to=some_people, words=some_words)
    def a_letter_comes(self, to: list[str], words: list[str]) -> int:
        id = self._new_id()
        with self.world.database.write() as tx:
            no, created = letters.store_email(
                tx,
                self.world.tenant,
                self._email(words, to),
                id=id,
                received_at=START,
                deliver_to=[self.by_name[name].no for name in to],
            )
        assert created and no not in self.model
        self.model[no] = _Letter(id, frozenset(words), held={name: _entry("inbox") for name in to})
        return no

    @rule(no=sent_letters, to=some_people)
    def a_letter_comes_again(self, no: int, to: list[str]) -> None:
        letter = self.model[no]
        with self.world.database.write() as tx:
            again, created = letters.store_email(
                tx,
                self.world.tenant,
                self._email(["other", "words"], to),
                id=EmailId(letter.id),
                received_at=START,
                deliver_to=[self.by_name[name].no for name in to],
            )
        assert (again, created) == (no, False)
        for name in to:
            letter.held.setdefault(name, _entry("inbox"))

    @rule(target=sent_letters, writer=people, to=some_people, bcc=some_people, outside=st.booleans(), words=some_words)
    def somebody_writes(self, writer: str, to: list[str], bcc: list[str], outside: bool, words: list[str]) -> int:
        if not (to or bcc or outside):
            to = [writer]
        id = self._new_id()
        with self.world.database.write() as tx:
            no = letters.write_letter(
                tx,
                self.world.tenant,
                self.by_name[writer],
                self._email(words, [*to, OUTSIDE] if outside else to, bcc),
                id=id,
                now=START,
            )
        letter = _Letter(id, frozenset(words), writer, tuple(name for name in bcc if name not in to), outside)
        for name in {*to, *bcc}:
            letter.held[name] = _entry("inbox", written=name == writer)
        if writer not in letter.held:
            letter.held[writer] = _entry("sent", read=True, written=True)
        self.model[no] = letter
        return no

    @rule(no=sent_letters, who=people, flag=st.sampled_from(("read", "starred", "deleted")), value=st.booleans())
    def somebody_marks(self, no: int, who: str, flag: str, value: bool) -> None:
        self._set(no, who, flag, value)

    @rule(no=sent_letters, who=people, folder=st.sampled_from(("inbox", "archive", "sent", "recipes")))
    def somebody_moves(self, no: int, who: str, folder: str) -> None:
        self._set(no, who, "folder", folder)

    def _set(self, no: int, who: str, flag: str, value: Any) -> None:
        entry = self.model[no].held.get(who)
        with self.world.database.write() as tx:
            if entry is None:
                with pytest.raises(NotFound):
                    lists.set_flag(tx, self.by_name[who], no, flag, value, "box")
                return
            changed = lists.set_flag(tx, self.by_name[who], no, flag, value, "box")
        assert changed is (entry[flag] != value)
        if changed:
            self.lamport += 1
            entry.flags[flag] = (value, self.lamport, "box")

    @rule(
        no=sent_letters,
        who=people,
        flag=st.sampled_from(("read", "deleted")),
        value=st.booleans(),
        lamport=st.integers(0, 40),
    )
    def the_other_end_tells(self, no: int, who: str, flag: str, value: bool, lamport: int) -> None:
        entry = self.model[no].held.get(who)
        if entry is None:
            return
        with self.world.database.write() as tx:
            counted = entries.merge_flag(
                tx, self.world.tenant, self.by_name[who].no, no, flag, value, lamport, "server"
            )
        assert counted is ((lamport, "server") > entry.flags[flag][1:])
        self.lamport = max(self.lamport, lamport)
        if counted:
            entry.flags[flag] = (value, lamport, "server")

    @rule()
    def the_server_takes_what_waits(self) -> None:
        with self.world.database.write() as tx:
            waiting = list(packages.waiting_emails(tx, self.world.tenant, "up"))
            seq = packages.next_seq(tx, self.world.tenant, 1, "up")
            package = packages.add_package(
                tx,
                self.world.tenant,
                epoch=1,
                direction="up",
                seq=seq,
                sha256=f"{seq:064}",
                size=1,
                type="t",
                blob="b",
                letters=len(waiting),
                state="built",
                now=START,
            )
            packages.mark_packed(tx, package, waiting)
            recipients.move_waiting(tx, self.world.tenant, waiting, DeliveryState.AT_SERVER)
            assert packages.acknowledge(tx, self.world.tenant, 1, "up", seq, [], START) == len(waiting)
        assert waiting == sorted(no for no, letter in self.model.items() if letter.waiting)
        for no in waiting:
            self.model[no].waiting = False

    @rule()
    def everything_is_counted_and_indexed_anew(self) -> None:
        with self.world.database.write() as tx:
            entries.recount(tx, self.world.tenant)
            assert fulltext.rebuild(tx) == len(self.model)

    @invariant()
    def everybody_sees_their_own(self) -> None:
        with self.world.database.read() as tx:
            for name, person in self.by_name.items():
                own = {
                    no: (letter, letter.held[name])
                    for no, letter in self.model.items()
                    if name in letter.held and not letter.held[name]["deleted"]
                }
                shown: dict[str, list[int]] = {"inbox": [], "sent": [], "archive": [], "recipes": []}
                unread = 0
                for no in sorted(own, reverse=True):
                    entry = own[no][1]
                    for folder in entries.lists_of(entry["folder"], entry.written):
                        shown[folder].append(no)
                    unread += entry["folder"] == "inbox" and not entry["read"]
                counts = lists.counts(tx, person)
                assert counts.unread == unread
                for folder, numbers in shown.items():
                    page = lists.list_folder(tx, person, folder, limit=5)
                    assert [row.no for row in page.rows] == numbers[:5]
                    assert page.total == counts.totals.get(folder, 0) == len(numbers)
                    for row in page.rows:
                        assert (row.read, row.starred) == (own[row.no][1]["read"], own[row.no][1]["starred"])
                outbox = [no for no in sorted(own, reverse=True) if own[no][0].writer == name and own[no][0].waiting]
                assert [row.no for row in lists.list_outbox(tx, person).rows] == outbox
                assert counts.waiting == len(outbox)
                for word in WORDS:
                    hits = [
                        no
                        for no in sorted(own, reverse=True)
                        if any(FOLDED[one].startswith(FOLDED[word]) for one in own[no][0].words)
                    ]
                    assert [row.no for row in search.search(tx, person, word.upper(), limit=100).rows] == hits
                for no in list(self.model)[-3:]:
                    opened = lists.get_entry(tx, person, no)
                    assert (opened is not None) is (no in own)
                    if opened is not None:
                        hidden = own[no][0].bcc if own[no][0].writer == name else ()
                        assert opened.letter.email.bcc == tuple(Contact(f"{one}@{DOMAIN}") for one in hidden)
                        assert bool(opened.deliveries) is (own[no][0].writer == name)


class _Opened:
    """A fresh world for one run; its files go with it."""

    def __init__(self, database: Database, clean: Any) -> None:
        self.database, self.clean = database, clean

    def __enter__(self) -> World:
        return make_world(self.database)

    def __exit__(self, *_: object) -> None:
        self.database.close()
        self.clean()


def _run(opened: Any, runs: int, steps: int) -> None:
    machine = type("Machine", (MailboxMachine,), {"open_world": staticmethod(opened)})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=runs,
            stateful_step_count=steps,
            deadline=None,
            print_blob=True,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_three_people_on_one_box_never_see_each_others_doings(tmp_path: Path) -> None:
    template = tmp_path / "template.db"
    migrate(f"sqlite:///{template}")

    def opened() -> _Opened:
        folder = Path(tempfile.mkdtemp(dir=tmp_path))
        shutil.copy(template, folder / "x.db")
        return _Opened(Database(f"sqlite:///{folder / 'x.db'}"), lambda: shutil.rmtree(folder))

    _run(opened, RUNS, 50)


def test_three_people_on_postgresql_never_see_each_others_doings() -> None:
    with postgres() as server:
        template = server.new_database()
        migrate(template)
        _run(lambda: _Opened(Database(server.new_database(template)), lambda: None), max(2, RUNS // 10), 30)
