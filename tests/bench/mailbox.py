"""A box with letters in it, to measure on: filled through the mailbox's own functions, many letters in one transaction.

What it costs to fill it is not measured here; ``tests/bench/import_package.py`` measures the way a box really takes letters in.
"""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from pathlib import Path

from lokole.mail.model import AccountNo, TenantNo
from lokole.mailbox import accounts, letters, tenants
from lokole.mailbox.attachments import StoredAttachment
from lokole.mailbox.database import Database
from lokole.mailbox.options import forget_option
from lokole.mailbox.passwords import hash_password
from lokole.sync.ids import email_id
from lokole.webmail import setting_up
from tests.bench.letters import FILE_BYTES, Letters

PERSON = "amina"
PASSWORD = "amina likes mangoes"
_LETTERS_PER_TRANSACTION = 500


class FilledMailbox:
    """The database of a box that has run once; everything in it belongs to one person, the worst case for every page."""

    def __init__(self, data: Path) -> None:
        self._database = Database(f"sqlite:///{data / 'lokole.db'}")
        self._count = 0
        with self._database.write() as tx:
            (row,) = tenants.list_tenants(tx)
            self._tenant: TenantNo = row.no
            person = accounts.create_account(
                tx, row.no, PERSON, password_hash=hash_password(PASSWORD, 10), now=datetime.now(UTC)
            )
            self._account: AccountNo = person.no
            self._letters = Letters(str(person.address))

    def fill(self, upto: int) -> None:
        """Add letters until there are ``upto``; every tenth names a file, whose bytes are not there."""
        while self._count < upto:
            with self._database.write() as tx:
                for letter in self._letters(min(_LETTERS_PER_TRANSACTION, upto - self._count)):
                    self._count += 1
                    files = [
                        StoredAttachment(one.filename, one.type, one.cid, secrets.token_hex(32), FILE_BYTES)
                        for one in letter.attachments
                    ]
                    letters.store_email(
                        tx,
                        self._tenant,
                        letter,
                        id=email_id("bench", 1, self._count),
                        received_at=letter.sent_at or datetime.now(UTC),
                        attachments=files,
                        deliver_to=[self._account],
                    )

    def look_after(self) -> None:
        """Let the person look after the box, which is set up already."""
        with self._database.write() as tx:
            accounts.set_admin(tx, accounts.get_account(tx, self._tenant, self._account), True)
            forget_option(tx, self._tenant, setting_up.OPTION)

    def close(self) -> None:
        self._database.close()
