"""What happened here, counted: under the names of the first Lokole's events where it had one.

Each process counts for itself and adds what it has to a row of the database now and then, and when it is asked:
one row that every letter had to write would make them wait for each other. A process that is killed loses a few seconds of it.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable

from sqlalchemy import select

from lokole.mailbox.database import Connection, Database
from lokole.mailbox.schema import event_count
from lokole.mailbox.upsert import insert_or_update
from lokole.server import logs

log = logging.getLogger(__name__)

WRITE_SECONDS = 15.0

#: every event, and what it counts; the first thirteen are the first Lokole's
EVENTS = {
    "new_client_registered": "domains registered",
    "unregistered_client": "calls of old boxes, or posts of mail, for no domain of ours",
    "unknown_user": "tokens that nobody knew at the registration API",
    "bad_password": "wrong names or passwords at the registration API",
    "missing_scopes": "people at the registration API who are in no team of ours",
    "unknown_compression_format": "packages asked for, or brought, in a format that nobody knows",
    "unknown_client_domain": "recipients of letters from outside whose domain is not ours",
    "emails_delivered_to_client": "letters whose arrival a box has acknowledged",
    "emails_received_from_client": "letters read out of packages of boxes",
    "email_received_for_client": "letters taken in from outside",
    "email_delivered_from_client": "letters handed to the outside world, once for each recipient",
    "email_stored_for_client": "letters from outside stored for a box",
    "email_stored_from_client": "packages of boxes stored",
    "letter_refused": "letters that the outside world refused, once for each recipient",
    "recipient_refused": "recipients of letters from outside whom nobody here is",
    "recipient_put_off": "recipients of letters from outside who may be known after the next visit",
    "connection_put_off": "SMTP connections turned away, from addresses that called too often or because too many were open",
    "recipient_too_fast": "recipients put off, of addresses that named too many within a minute",
    "letter_greylisted": "recipients put off at the first try of somebody nobody here knows",
    "letter_put_off": "letters put off because Rspamd said so",
    "letter_unjudged": "letters taken in without a verdict, because Rspamd did not give one",
    "letter_in_circle": "letters refused because they go in a circle",
    "letter_too_large": "letters of which only the beginning is kept, because they are larger than any may be",
    "post_put_off": "posts of mail that were not understood, and come again",
    "domain_deleted": "domains deleted",
}
_ADD = insert_or_update(event_count, ["name"], "count = event_count.count + excluded.count")


class Events:
    """The counts of this process that are in no row yet; ``also`` hears of each as it happens."""

    def __init__(self, also: Callable[[str, int], None] | None = None) -> None:
        self._also = also
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()

    def count(self, name: str, times: int = 1) -> None:
        """Something happened ``times`` times; ``name`` is one of :data:`EVENTS`."""
        assert name in EVENTS, name
        if times:
            with self._lock:
                self._counts[name] += times
            if self._also is not None:
                self._also(name, times)

    def write(self, database: Database) -> None:
        """Add what was counted to the rows; what cannot be written now is counted on."""
        with self._lock:
            counted, self._counts = self._counts, Counter()
        if not counted:
            return
        try:
            with database.write() as tx:
                for name, times in sorted(counted.items()):  # always in one order, or two would wait for each other
                    _ADD.run(tx, {"name": name, "count": times})
        except BaseException:
            with self._lock:
                self._counts.update(counted)
            raise


def read_events(tx: Connection) -> dict[str, int]:
    """How often each event happened, as far as processes have written it; 0 for what never did."""
    found = {str(name): int(count) for name, count in tx.execute(select(event_count.c.name, event_count.c.count))}
    return {name: found.get(name, 0) for name in EVENTS}


class EventWriter:
    """Writes what a process has counted, every :data:`WRITE_SECONDS` and at its end."""

    def __init__(self, events: Events, database: Database) -> None:
        self._events = events
        self._database = database
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin; a repeat does nothing."""
        if self._thread is None:
            self._over.clear()
            self._thread = threading.Thread(target=self._run, name="events", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Write once more, and end; may be repeated."""
        if self._thread is not None:
            self._over.set()
            self._thread.join(timeout=10)
            self._thread = None
            self._write()

    def _run(self) -> None:
        while not self._over.wait(WRITE_SECONDS):
            self._write()

    def _write(self) -> None:
        try:
            self._events.write(self._database)
        except Exception as error:
            log.warning("counts could not be written: %s", logs.place(error))  # they are counted on
