"""Whether somebody has this address, and what becomes of a letter to a person whom the server does not know yet.

A person may have signed up at a box since its last visit, so the answer is given only after the next one:
over SMTP the sender is asked to come again until then, over a webhook the letter itself waits (``run``).
Afterwards it goes to the person, or back to the sender as a notice when SPF or DKIM prove who that is, else to the dead-letter page.
"""

from __future__ import annotations

import hashlib
from datetime import timedelta
from enum import Enum

from lokole.mail.errors import Refused, Temporary
from lokole.mail.model import Address
from lokole.mailbox import ageing, jobs, letters, tenants
from lokole.mailbox.accounts import find_account_no
from lokole.mailbox.database import Connection
from lokole.mailbox.entries import deliver
from lokole.mailbox.jobs import Job
from lokole.mailbox.packages import add_waiting
from lokole.mailbox.posting import BOARD_NAME
from lokole.mailbox.quarantine import quarantine
from lokole.mailbox.recipients import set_envelope_state
from lokole.mailbox.seen import find_noted, forget, remember
from lokole.mailbox.tenants import PREPARING, REMOVED, TenantRow
from lokole.server.addresses import home
from lokole.server.devices import serves_v1
from lokole.server.ports import ServerPorts
from lokole.server.receipts import bounce_id, is_known_bounce

#: Names that must answer in every domain (RFC 5321 section 4.5.1, RFC 2142); their letters go to the dead-letter page.
OPERATOR_NAMES = frozenset(("postmaster", "abuse"))
#: After this a letter for a stranger waits no longer, whether its box came or not.
LONGEST_WAIT = timedelta(days=30)
_LOOK_AGAIN = 86400.0
ASKED = "asked"


class Verdict(Enum):
    """What is known about an envelope recipient."""

    HERE = "here"
    LATER = "later"  # nobody known has this name, but the box has not been here since somebody asked
    NOBODY = "nobody"
    NO_DOMAIN = "no-domain"
    MALFORMED = "malformed"


def decide(ports: ServerPorts, sender: str, recipient: str) -> Verdict:
    """Whether a letter from ``sender`` to ``recipient`` (both as the envelope has them) is taken."""
    try:
        address = Address.parse(home(ports.settings, recipient))
    except Refused:
        return Verdict.MALFORMED
    key = hashlib.sha256(f"{sender.casefold()}\n{address.key}".encode("utf-8", "replace")).hexdigest()
    # to the board from somebody who may be proven; it is taken or set apart when the whole letter is here
    judged_by_smtp = ports.judge is not None
    with ports.database.read() as tx:
        row = tenants.find_tenant(tx, domain=address.domain)
        if row is None or row.state == REMOVED:
            return Verdict.NO_DOMAIN
        if row.state == PREPARING:
            return Verdict.LATER
        if bounce_id(address.local) is not None:
            return Verdict.HERE if is_known_bounce(tx, row, address) else Verdict.NOBODY
        if is_known(tx, row, address) or (judged_by_smtp and address.local.casefold() == BOARD_NAME):
            return Verdict.HERE
        asked = find_noted(tx, row.no, ASKED, f"{key}:")
    if asked is None:
        with ports.database.write() as tx:
            remember(tx, row.no, ASKED, f"{key}:{row.visits}", ports.clock())
        return Verdict.LATER
    if row.heard_visits <= int(asked.rpartition(":")[2]):
        return Verdict.LATER
    with ports.database.write() as tx:
        # the next letter asks anew: the person may sign up tomorrow
        forget(tx, row.no, ASKED, asked)
    return Verdict.NOBODY


def is_known(tx: Connection, row: TenantRow, address: Address) -> bool:
    """Whether ``address`` is somebody's at this domain; at a version 1 box everything is, as it always was."""
    if serves_v1(row) or address.local.casefold() in OPERATOR_NAMES:
        return True
    return find_account_no(tx, row.no, address.local) is not None


def run(ports: ServerPorts, job: Job) -> bool:
    """Look again whether the person of one waiting letter has appeared (ids: ``email``, ``address``, ``visits``, ``sender``, ``notify``)."""
    now = ports.clock()
    email_no = int(job.ids["email"])
    address = Address.parse(str(job.ids["address"]))
    with ports.database.write() as tx:
        tenants.lock(tx, job.tenant or 0)  # whoever leaves just now takes along what is nobody else's
        row = tenants.find_tenant(tx, no=job.tenant)
        if row is None or row.state == REMOVED:
            jobs.finish(tx, job)
            return True
        person = find_account_no(tx, row.no, address.local)
        if person is not None or serves_v1(row):
            if person is not None:
                deliver(tx, row.no, email_no, person)
            set_envelope_state(tx, row.no, email_no, address.key, "delivered")
            # a record of their own: the one for the others may have gone already
            add_waiting(tx, row.no, email_no, "down", address.key)
            jobs.finish(tx, job)
            return True
        visited = row.heard_visits > int(job.ids["visits"])
        if not visited and ageing.old_rows(tx, row.no, LONGEST_WAIT).email < email_no:
            raise Temporary("the box has not been here since", retry_after=_LOOK_AGAIN)
        set_envelope_state(tx, row.no, email_no, address.key, "dead")
        if visited and job.ids.get("notify"):
            jobs.enqueue(
                tx,
                "notice",
                f"{email_no}:{job.key[:100]}",
                {"email": email_no, "address": address.key, "sender": job.ids["sender"]},
                tenant=row.no,
                now=now,
            )
        else:
            quarantine(
                tx,
                tenant=row.no,
                kind="dead-letter",
                source="webhook",
                reason="nobody has this name at the box",
                raw_ref=letters.read_email(tx, row.no, email_no).raw_ref,
                key=f"stranger:{row.no}:{job.key}",
                now=now,
            )
        jobs.finish(tx, job)
    ports.bell.ring()
    return True
