"""How letters get their identity.

A letter's id is 16 bytes: ``SHA-256(origin, epoch, n)[:16]`` (decision record "identity").
``origin`` is a device id or ``server``, ``epoch`` a random number of the database that a restore renews,
``n`` the origin's own counter, so that consecutive ids can be derived instead of sent.
"""

from __future__ import annotations

import hashlib

from lokole.mail.model import EmailId

SERVER_ORIGIN = "server"


def email_id(origin: str, epoch: int, n: int) -> EmailId:
    """The id of the ``n``-th letter that ``origin`` made in ``epoch`` (both unsigned 64-bit)."""
    name = origin.encode("utf-8")
    seed = len(name).to_bytes(2, "big") + name + epoch.to_bytes(8, "big") + n.to_bytes(8, "big")
    return EmailId(hashlib.sha256(seed).digest()[:16])
