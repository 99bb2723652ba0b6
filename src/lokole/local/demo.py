"""Two people and their first letters, for somebody who looks around.

They are made once; their one-time passwords stand in the folder until somebody has chosen another.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

from lokole.device.box import Box
from lokole.local.world import World
from lokole.mail.errors import Refused, Temporary
from lokole.mailbox import accounts
from lokole.mailbox.passwords import MIN_COST, hash_password
from lokole.mailbox.slips import one_time_password

PEOPLE = ("amina", "joseph")


def make_demo(box: Box, world: World, kept: Path) -> Iterator[str]:
    """Make what is not there yet; yields a sentence for each person who still has the one-time password."""
    passwords: dict[str, str] = json.loads(kept.read_text("utf-8")) if kept.exists() else {}
    if not passwords:
        passwords = {name: one_time_password(box.ports.entropy) for name in PEOPLE}
        _keep(kept, passwords)
    with box.ports.database.write() as tx:
        missing = [name for name in PEOPLE if accounts.find_account(tx, box.tenant, name) is None]
        for name in missing:
            hashed = hash_password(passwords[name], MIN_COST)
            accounts.create_account(
                tx,
                box.tenant,
                name,
                password_hash=hashed,
                now=box.ports.clock(),
                must_change_password=True,
                is_admin=name == PEOPLE[0],
            )
    if missing:
        _write_to_them(box, world)
    with box.ports.database.read() as tx:
        for name in PEOPLE:
            person = accounts.find_account(tx, box.tenant, name)
            if person is not None and person.must_change_password:
                role = ", an administrator" if person.is_admin else ""
                yield f"Demo: sign in to the box as {name} with the one-time password {passwords[name]}{role}"


def _write_to_them(box: Box, world: World) -> None:
    """One letter that has come with an exchange already, and one that waits for the next."""
    domain = box.row().domain
    if box.sync().result != "ok":  # the server learns who lives here
        return
    try:
        _write(
            world,
            sender="claire@example.org",
            to=f"{PEOPLE[0]}@{domain}",
            subject="The road to the coast",
            text="Dear Amina,\n\nthe road is open again and the bus runs on Tuesdays. Shall I bring the books?\n\nClaire",
        )
        box.sync()
        _write(
            world,
            sender="henri@example.org",
            to=f"{PEOPLE[0]}@{domain}, {PEOPLE[1]}@{domain}",
            subject="A letter that waits",
            text='Hello both,\n\nthis letter waits at the server until the box meets it: "Send now" on the page "The box".\n\nHenri',
        )
    except (Refused, Temporary):
        return


def _write(world: World, *, sender: str, to: str, subject: str, text: str) -> None:
    """Write as soon as the server knows the people, which it learns behind the exchange."""
    for attempt in range(20):
        try:
            return world.write(sender=sender, to=to, subject=subject, text=text)
        except Temporary:
            if attempt == 19:
                raise
            time.sleep(0.25)


def _keep(path: Path, passwords: dict[str, str]) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(passwords, file)
