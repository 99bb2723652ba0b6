"""The practice partner of a box: who writes to ``echo`` has their own words back at once, so that somebody new sees a letter go and come.

Its letters stay in the box and cost nothing. It answers what a person here has written on these pages and nothing else:
no letter that was written by itself, and so neither a list nor its own answers.
"""

from __future__ import annotations

from flask import render_template
from flask_babel import force_locale
from markupsafe import Markup

from lokole.mail.model import Account, Contact, Email, EmailNo
from lokole.mailbox import accounts, identity, letters, mail_flow, recipients
from lokole.mailbox.database import Connection
from lokole.mailbox.posting import ECHO_NAME
from lokole.webmail import wording
from lokole.webmail.parts import parts


def is_here(name: str) -> bool:
    """Whether ``name`` is the practice partner's; in town there is none: letters there wait for the box."""
    return name.casefold() == ECHO_NAME and not parts().settings.in_town


def answer(tx: Connection, writer: Account, no: EmailNo) -> None:
    """Answer the letter ``no`` of ``writer`` where it is to the practice partner; in the transaction that stores it."""
    ports, address = parts().ports, f"{ECHO_NAME}@{writer.domain}"
    if not is_here(ECHO_NAME) or not recipients.goes_to(tx, writer.tenant, no, address):
        return
    # somebody may have had this name before it was kept
    if accounts.find_account_no(tx, writer.tenant, ECHO_NAME) is not None:
        return
    written, now = letters.read_email(tx, writer.tenant, no), ports.clock()
    if written.email.automatic:
        return
    with force_locale(writer.language):
        body = render_template(
            "practice_letter.html",
            # that they came is what somebody wants to know; they are with the letter itself
            files=", ".join(one.filename for one in written.attachments),
            quoted=Markup(wording.quotation(written.email, now)),  # noqa: S704 # made safe there
        )
    reply = Email(
        sender=Contact(address, "Echo"),
        to=(writer.contact,),
        subject=wording.answered(written.email.subject)[:900],
        body=body,
        sent_at=now,
        **wording.thread(written.email),
        automatic=True,
    )
    id_ = identity.next_email_id(tx, ports.origin)
    answered, _new = letters.store_email(tx, writer.tenant, reply, id=id_, received_at=now, deliver_to=[writer.no])
    mail_flow.take_in(tx, writer.tenant, answered, [writer.no], origin=ports.origin, now=now)
