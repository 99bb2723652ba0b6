"""How letters get their identity, and when two are the same.

A letter's id is 16 bytes: ``SHA-256(origin, epoch, n)[:16]`` (decision record "identity").
``origin`` is a device id or ``server``, ``epoch`` a random number of the database that a restore renews,
``n`` the origin's own counter, so that consecutive ids can be derived instead of sent.
"""

from __future__ import annotations

import hashlib

from lokole.mail.model import Email, EmailId
from lokole.sync import jsontext, version1

SERVER_ORIGIN = "server"


def email_id(origin: str, epoch: int, n: int) -> EmailId:
    """The id of the ``n``-th letter that ``origin`` made in ``epoch`` (both unsigned 64-bit)."""
    name = origin.encode("utf-8")
    seed = len(name).to_bytes(2, "big") + name + epoch.to_bytes(8, "big") + n.to_bytes(8, "big")
    return EmailId(hashlib.sha256(seed).digest()[:16])


def record_uid(id: EmailId, recipient: str) -> str:
    """What the record of a letter is called: its id, or a name of its own when it is for ``recipient`` (an address) only."""
    if not recipient:
        return id.hex()
    return hashlib.sha256(id + recipient.encode("utf-8", "replace")).digest()[:16].hex()


def letter_print(email: Email) -> bytes:
    """16 bytes that are equal for the same letter written into two packages, however its files were made small since (protocol 8.8).

    Twins and restored boxes can give one id to two letters: who takes a letter compares this besides its ``_uid``.
    """
    told = [
        email.sender.address,
        *(sorted(contact.address for contact in contacts) for contacts in (email.to, email.cc, email.bcc)),
        email.subject,
        email.body,
        "" if email.sent_at is None else version1.write_minute(email.sent_at),
        [attachment.filename for attachment in email.attachments],
    ]
    return hashlib.sha256(jsontext.write(told)).digest()[:16]
