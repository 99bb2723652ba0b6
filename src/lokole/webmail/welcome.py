"""The first letter that somebody finds, whether they signed up alone or were made by an administrator."""

from __future__ import annotations

from datetime import datetime

from flask_babel import force_locale
from markupsafe import Markup

from lokole.mail.model import Account, Contact, Email
from lokole.mailbox import identity, letters
from lokole.mailbox.database import Connection
from lokole.webmail import house
from lokole.webmail.pages import page
from lokole.webmail.parts import parts
from lokole.webmail.words import gettext


def welcome(tx: Connection, person: Account, now: datetime) -> None:
    """Put it into the inbox, in the language of ``person``; the organisation's own words where it has written some."""
    settings = parts().settings
    own = house.welcome_text(tx, person.tenant, person.language)
    with force_locale(person.language):
        subject, body = gettext("Welcome to Lokole"), ""
        if own is not None:
            subject = own[0] or subject
            paragraphs = [part.strip() for part in own[1].replace("\r", "").split("\n\n") if part.strip()]
            body = "".join(
                Markup("<p>{}</p>").format(part).replace("\n", "<br>") for part in paragraphs
            )  # format escapes
        else:
            body = page("welcome_letter.html", address=str(person.address))
        email = Email(
            sender=Contact(settings.welcome_from, "Lokole"),
            to=(person.contact,),
            subject=subject,
            body=body,
            sent_at=now,
        )
    id_ = identity.next_email_id(tx, parts().ports.origin)
    letters.store_email(tx, person.tenant, email, id=id_, received_at=now, deliver_to=[person.no])
