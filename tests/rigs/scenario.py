"""The exchange that rigs break: letters wait at both ends, with files, with several recipients, for somebody the server does not know yet."""

from __future__ import annotations

import random
import shutil
import time
from hashlib import sha256
from pathlib import Path

from tests.rigs import world
from tests.rigs.ledger import DOMAIN, WELCOME, Ledger, Promise, settle
from tests.rigs.place import Place, Ports, Stuck, outside, query, register, sign_up, write

#: comes while the server is being broken
LATE = "M4 while the server breaks"


def prepare(root: Path, seed: int) -> Ledger:
    """Make the place ``root``: three letters wait to go up, three to come down, and one person is new. Returns what was promised."""
    place, rng = Place(root, Ports.free()), random.Random(seed)
    files = [rng.randbytes(3000), rng.randbytes(2000)]
    with outside(root, place.ports.world) as keep_in:
        keep_in(place.world)
        server = place.start_server()
        secret = register(place)
        pages = place.start_pages()
        ann, ben = sign_up(place, "ann"), sign_up(place, "ben")
        settle(place)
        assert write(ann, "L1 with a file", "bob@example.org", file=files[0]) == 200
        assert (
            write(ben, "L2 to several", "bob@example.org, dora@example.net", cc=f"ann@{DOMAIN}", bcc="erin@example.org")
            == 200
        )
        cleo = sign_up(place, "cleo")
        assert write(cleo, "L3 of somebody new", "bob@example.org") == 200
        everyone = [f"ann@{DOMAIN}"], [f"ann@{DOMAIN}", f"ben@{DOMAIN}"]
        assert world.hand_in(place.ports.smtp, world.letter("M1 with a file", everyone[0], files[1]), everyone[0])
        assert world.hand_in(place.ports.smtp, world.letter("M2 to two", everyone[1]), everyone[1])
        new = [f"cleo@{DOMAIN}"]
        assert world.post(place.ports.http, secret, world.letter("M3 to somebody new", new), new)
        _until_waiting(place, 2)
        pages.stop()
        server.stop()
    (root / "webhook").write_text(secret)
    digests = [sha256(file).hexdigest() for file in files]
    return Ledger(
        [
            Promise(WELCOME, people=("ann", "ben", "cleo")),
            Promise("L1 with a file", outside=("bob@example.org",), writer="ann", file=digests[0]),
            Promise(
                "L2 to several",
                people=("ann",),
                outside=("bob@example.org", "dora@example.net", "erin@example.org"),
                writer="ben",
            ),
            Promise("L3 of somebody new", outside=("bob@example.org",), writer="cleo"),
            Promise("M1 with a file", people=("ann",), file=digests[1]),
            Promise("M2 to two", people=("ann", "ben")),
            Promise("M3 to somebody new", people=("cleo",)),
        ]
    )


def late_letter() -> tuple[Promise, bytes, list[str]]:
    """A letter that a sender offers by SMTP until it is taken."""
    recipients = [f"ben@{DOMAIN}"]
    return Promise(LATE, people=("ben",)), world.letter(LATE, recipients), recipients


def _until_waiting(place: Place, count: int) -> None:
    """Return when the server has read ``count`` letters for the box."""
    end = time.monotonic() + 30
    while True:
        (found,) = query(place.databases()[1], "SELECT count(*) FROM waiting WHERE direction = 'down'")[0]
        if found >= count:
            break
        if time.monotonic() > end:
            raise Stuck(f"the server has {found} letters for the box and not {count}")
        time.sleep(0.02)
    # a letter to somebody new waits by being tried again
    while query(place.databases()[1], "SELECT 1 FROM job WHERE state = 'ready' AND kind <> 'stranger'"):
        if time.monotonic() > end:
            raise Stuck("the server does not come to an end")
        time.sleep(0.02)


def fresh_copy(template: Place, root: Path) -> Place:
    """A copy of ``template`` at ``root``, which is emptied."""
    shutil.rmtree(root, ignore_errors=True)
    return template.copy_to(root)
