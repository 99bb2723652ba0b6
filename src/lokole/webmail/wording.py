"""The text of a letter: how one begins from the letter it answers, and what is put together when it is sent."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from typing import TypedDict

from markupsafe import escape

from lokole.mail.html import html_to_text, make_safe, rewrite_cids, text_to_html
from lokole.mail.model import Account, Contact, DeliveryState, Email
from lokole.mailbox.lists import StoredEntry
from lokole.webmail import language
from lokole.webmail.sheet import Sheet
from lokole.webmail.words import gettext


class _Thread(TypedDict, total=False):
    in_reply_to: str
    references: tuple[str, ...]


_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029]+")


def begin(sheet: Sheet, person: Account, action: str, entry: StoredEntry) -> None:
    """Fill the form from the letter that is answered, passed on or repeated."""
    email, form = entry.letter.email, sheet.form
    sheet.action, sheet.answers = action, entry
    if action == "again":
        sheet.quote = False
        refused = {one.address for one in entry.deliveries if one.state is DeliveryState.REFUSED}
        for field, people in ((form.to, email.to), (form.cc, email.cc), (form.bcc, email.bcc)):
            # where it was refused for some, the others have it, or get it still
            field.data = _line(who for who in people if not refused or who.address.casefold() in refused)
        sheet.markup = rewrite_cids(make_safe(email.body), lambda _cid: None)
        form.subject.data, form.body.data = email.subject, html_to_text(sheet.markup)
        sheet.files = list(entry.letter.attachments)
    elif action == "forward":
        form.subject.data = _prefixed("Fwd:", ("fwd:", "fw:", "tr:"), email.subject)
        sheet.files = list(entry.letter.attachments)
    else:
        mine = person.address.key
        back = email.reply_to or (email.sender,)
        if email.sender.address.casefold() == mine:
            back = email.to  # an answer to a letter of one's own goes where that went
        form.to.data = _line(back)
        form.subject.data = answered(email.subject)
        if action == "reply_all":
            known = {mine} | {contact.address.casefold() for contact in back}
            form.cc.data = _line(
                contact for contact in (*email.to, *email.cc) if contact.address.casefold() not in known
            )


def sign(sheet: Sheet, signature: str) -> None:
    """Put the person's signature below an empty letter."""
    if signature.strip() and not sheet.form.body.data:
        sheet.form.body.data = "\n\n" + signature.strip("\n")


def put_together(
    sheet: Sheet, person: Account, to: tuple[Contact, ...], cc: tuple[Contact, ...], bcc: tuple[Contact, ...]
) -> Email:
    """The letter as it is sent."""
    typed = _CONTROL.sub("", sheet.form.body.data or "")
    answers = sheet.answers.letter.email if sheet.answers is not None else None
    email = Email(
        sender=person.contact,
        to=to,
        cc=cc,
        bcc=bcc,
        subject=" ".join(_CONTROL.sub(" ", sheet.form.subject.data or "").split()),
        body=(make_safe(typed) if sheet.format == "html" else text_to_html(typed)) + _quote(sheet),
    )
    if answers is not None and sheet.action in ("reply", "reply_all"):
        email = replace(email, **thread(answers))
    return email


def thread(answers: Email) -> _Thread:
    """What puts an answer into the conversation of the letter it answers."""
    if not answers.message_id:
        return {}
    chain = tuple(dict.fromkeys((*answers.references, answers.message_id)))
    return {"in_reply_to": answers.message_id, "references": chain[:1] + chain[1:][-20:]}


def answered(subject: str) -> str:
    """The subject of an answer."""
    return _prefixed("Re:", ("re:", "aw:", "sv:"), subject)


def quotation(email: Email, received_at: datetime) -> str:
    """The letter that is answered, below the words of the answer; each may be written from the other side of the page."""
    when = language.long_when(email.sent_at or received_at)
    head = gettext("On %(when)s, %(who)s wrote:", when=when, who=email.sender.name or email.sender.address)
    text = rewrite_cids(make_safe(email.body), lambda _cid: None)
    return f'<p dir="auto">{escape(head)}</p><blockquote dir="auto">{text}</blockquote>'


def _prefixed(prefix: str, known: tuple[str, ...], subject: str) -> str:
    return subject if subject.lower().startswith(known) else f"{prefix} {subject}".strip()


def _line(contacts: Iterable[Contact]) -> str:
    return ", ".join(dict.fromkeys(contact.address for contact in contacts if contact.address))


def _quote(sheet: Sheet) -> str:
    """The letter that is answered or passed on, below the own text; each may be written from the other side of the page."""
    if sheet.answers is None or not sheet.quote or sheet.action == "again":
        return ""
    email = sheet.answers.letter.email
    if sheet.action == "forward":
        pictures = {file.cid for file in sheet.files if file.cid}
        text = rewrite_cids(make_safe(email.body), lambda cid: f"cid:{cid}" if cid in pictures else None)
        when = language.long_when(email.sent_at or sheet.answers.letter.received_at)
        lines = [
            (gettext("From"), str(email.sender)),
            (gettext("Date"), when),
            (gettext("Subject"), email.subject),
            (gettext("To"), ", ".join(str(contact) for contact in email.to)),
        ]
        if email.cc:
            lines.append((gettext("Copy to"), ", ".join(str(contact) for contact in email.cc)))
        head = "<br>".join(f"<b>{escape(gettext('%(word)s:', word=word))}</b> {escape(value)}" for word, value in lines)
        return f'<hr><p dir="auto">{head}</p><div dir="auto">{text}</div>'
    return quotation(email, sheet.answers.letter.received_at)
