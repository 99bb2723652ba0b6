"""What makes a box recognisable: its key pair, and the counter of the requests that it signed.

Both are rows of the database. The counter is written down before a request leaves, so that after a power cut
the box never uses a number twice; when the server knows a higher one, somebody else used this key:
a twin (a copied card, a restored backup), which the administrator is told.
"""

from __future__ import annotations

from sqlalchemy import delete, update

from lokole.mail.model import TenantNo
from lokole.mailbox.database import Connection, Database, to_micros
from lokole.mailbox.identity import get_secret, renew_epoch
from lokole.mailbox.options import get_option, set_option
from lokole.mailbox.schema import secret
from lokole.ports.callables import Clock, Entropy
from lokole.sync.signing import Seed, new_key

DEVICE_KEY = "device-key"
NEXT_KEY = "device-key-next"
COUNTER_OPTION = "request_counter"
#: when the server last knew a higher counter than this box, in microseconds since 1970
TWIN_OPTION = "twin_seen_at"


def device_seed(tx: Connection, entropy: Entropy) -> Seed:
    """The Ed25519 seed of this box (32 bytes), made at the first call. Needs a writing transaction."""
    return Seed(get_secret(tx, DEVICE_KEY, lambda: new_key(entropy)))


def next_seed(tx: Connection, entropy: Entropy) -> Seed:
    """The seed that will follow, made at the first call and the same until :func:`replace_seed`."""
    return Seed(get_secret(tx, NEXT_KEY, lambda: new_key(entropy)))


def replace_seed(tx: Connection, seed: Seed) -> None:
    """From now on ``seed``, which :func:`next_seed` made, is the one of this box."""
    tx.execute(update(secret).where(secret.c.name == DEVICE_KEY).values(value=bytes(seed)))
    tx.execute(delete(secret).where(secret.c.name == NEXT_KEY))


class RequestCounter:
    """The counter of signed requests; durable before :meth:`next` returns."""

    def __init__(self, database: Database, tenant: TenantNo, clock: Clock, entropy: Entropy) -> None:
        self._database = database
        self._tenant = tenant
        self._clock = clock
        self._entropy = entropy

    def next(self) -> int:
        """A number higher than every one before."""
        return self._raise_to(0)

    def jump(self, at_least: int) -> None:
        """Let the next number be higher than ``at_least``, which the server has seen."""
        if 0 <= at_least < 2**62:
            self._raise_to(at_least)

    def twin_seen(self) -> None:
        """Write down that somebody else seems to use this box's key, and share no number with them from now on.

        Whether this database is the copy or the original, both count letters and packages from the same number:
        a new epoch keeps them apart.
        """
        with self._database.write() as tx:
            renew_epoch(tx, self._entropy)
            set_option(tx, self._tenant, TWIN_OPTION, to_micros(self._clock()))

    def _raise_to(self, at_least: int) -> int:
        with self._database.write() as tx:
            last = get_option(tx, self._tenant, COUNTER_OPTION, 0)
            counter = max(last if isinstance(last, int) else 0, at_least) + 1
            set_option(tx, self._tenant, COUNTER_OPTION, counter)
            return counter
