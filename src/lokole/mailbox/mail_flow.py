"""What happens around a letter when it is sent and when it arrives: address books, rules, the answer of somebody who is away.

Sending goes through :func:`send_letter`, and every letter that arrives through :func:`take_in`, whether somebody here wrote it or a package brought it;
both in the transaction that stores the letter. Nothing here may keep a letter from arriving: what goes wrong is undone by itself.

No letter goes round in circles: what is written by itself carries ``automatic``, and an automatic letter is never answered or passed on by itself
(RFC 3834); beyond that nobody's letters by themselves are more than :data:`MAX_BY_ITSELF` a day.
"""

from __future__ import annotations

import html
import logging
import re
from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sqlalchemy import bindparam, select, union_all

from lokole.mail.errors import NotFound, Refused
from lokole.mail.html import text_to_html
from lokole.mail.model import Account, AccountNo, Address, Contact, Email, EmailNo
from lokole.mailbox import contacts, folders, letter_options, rules
from lokole.mailbox.accounts import find_account_no, get_account
from lokole.mailbox.attachments import StoredAttachment
from lokole.mailbox.database import Connection
from lokole.mailbox.identity import next_email_id
from lokole.mailbox.letters import StoredEmail, read_email, write_letter
from lokole.mailbox.limits import add_count
from lokole.mailbox.roaming import set_flag
from lokole.mailbox.schema import letter_option, rule

log = logging.getLogger(__name__)

#: told of each letter that was sent (tenant, letter), in the transaction that stores it
Written = Callable[[Connection, int, int], None]

MAX_BY_ITSELF = 50
_BUSY = union_all(
    select(rule.c.account).where(rule.c.tenant == bindparam("tenant")),
    select(letter_option.c.account).where(
        letter_option.c.tenant == bindparam("tenant"), letter_option.c.answer.is_(True)
    ),
)
#: so many letters are taken in before it is looked again who has rules
_LOOK_AGAIN = 100
#: who never reads an answer (RFC 3834 section 2)
_NOBODY = re.compile(
    r"(?:mailer-daemon|postmaster|root|daemon|bounces?|no-?reply|do-?not-?reply|listserv|majordomo|owner-.*|.*-request|.*-owner|.*-bounces?)"
    r"(?:[+=].*)?",
    re.IGNORECASE,
)
_KNOWN_PREFIXES = ("fwd:", "fw:", "tr:")


class Arriving:
    """What many letters that arrive one after the other need to know: who has set something, and whom everybody has met already."""

    def __init__(self, tenant_no: int, domain: str) -> None:
        self._tenant_no, self._ending = tenant_no, f"@{domain}"
        self._busy: set[int] = set()
        self._met: set[tuple[int, str]] = set()
        self._count = 0

    def is_plain(self, tx: Connection, account_no: AccountNo, email: Email) -> bool:
        """Whether nothing happens by itself for this person; never where a neighbour wrote, who may be the same person."""
        if self._count % _LOOK_AGAIN == 0:
            self._busy = set(tx.execute(_BUSY, {"tenant": self._tenant_no}).scalars())
        self._count += 1
        return account_no not in self._busy and not _key(email.sender.address).endswith(self._ending)

    def meet(self, tx: Connection, account_no: AccountNo, sender: Contact) -> None:
        """The address book of the person learns ``sender``."""
        known = (account_no, _key(sender.address))
        if known not in self._met:
            contacts.met(tx, self._tenant_no, account_no, [sender])
            self._met.add(known)


def send_letter(
    tx: Connection,
    writer: Account,
    letter: Email,
    *,
    origin: str,
    now: datetime,
    attachments: Sequence[StoredAttachment] = (),
    written: Written | None = None,
) -> EmailNo:
    """A person sends ``letter`` (as ``letters.write_letter``, and it raises what that raises); returns its number.

    Those written to get into the address book, and people of the same device have it as they want it.
    On a server, which is who has ``written``, they have it so when their box takes it in.
    """
    id_ = next_email_id(tx, origin)
    no = write_letter(tx, writer.tenant, writer, letter, id=id_, now=now, attachments=attachments)
    everybody = (*letter.to, *letter.cc, *letter.bcc)
    if not letter.automatic:
        contacts.wrote_to(tx, writer, everybody)
    if written is None:
        take_in(tx, writer.tenant, no, _here(tx, writer, everybody), origin=origin, now=now)
    else:  # in town: the box does what people there have set when the letter comes home, and twice would be once too often
        written(tx, writer.tenant, no)
    return no


def take_in(
    tx: Connection,
    tenant_no: int,
    email_no: EmailNo,
    people: Iterable[AccountNo],
    *,
    origin: str,
    now: datetime,
    arriving: Arriving | None = None,
    email: Email | None = None,
) -> None:
    """A new letter lies in the inboxes of ``people``: do with it what each of them has set. Call it once per letter and person.

    Who takes in many letters has ``arriving`` and each ``email`` at hand, and saves reading it again for those who have set nothing:
    their address books learn, and that is all.
    """
    letter: StoredEmail | None = None
    for account_no in people:
        try:
            if arriving is not None and email is not None and arriving.is_plain(tx, account_no, email):
                if _is_learned(email):
                    arriving.meet(tx, account_no, email.sender)
                continue
            with tx.begin_nested():
                letter = letter or read_email(tx, tenant_no, email_no)
                _take_in(tx, get_account(tx, tenant_no, account_no), letter, origin, now)
        except (Refused, NotFound) as error:
            log.warning("a rule or an answer did not work: %s", getattr(error, "code", "") or "not found")


def _take_in(tx: Connection, person: Account, letter: StoredEmail, origin: str, now: datetime) -> None:
    email = letter.email
    if _key(email.sender.address) == person.address.key:
        return
    if _is_learned(email):
        contacts.met(tx, person.tenant, person.no, [email.sender])
    passed_on: dict[str, None] = {}
    for one in rules.list_rules(tx, person):
        if not one.applies(email):
            continue
        if one.action == "star":
            set_flag(tx, person, letter.no, "starred", True, origin)
        elif one.action == "move":
            # a folder that is gone meanwhile: the letter stays where it is seen
            if folders.is_folder(tx, person, one.target):
                set_flag(tx, person, letter.no, "folder", one.target, origin)
        elif not email.automatic:
            passed_on[one.target] = None
    for target in passed_on:
        _by_itself(tx, person, _passed_on(letter, person, target), origin, now, letter.attachments)
    options = letter_options.get_options(tx, person)
    if options.answers_on(_day(person, now)) and _wants_answer(email, person):
        sender = _key(email.sender.address)
        if letter_options.may_answer(tx, person, sender, now):
            _by_itself(tx, person, _answer(email, person, options.answer_text), origin, now, ())


def _is_learned(email: Email) -> bool:
    return not email.automatic and not _is_nobody(email)


def _by_itself(
    tx: Connection,
    person: Account,
    email: Email,
    origin: str,
    now: datetime,
    attachments: Sequence[StoredAttachment],
) -> None:
    if add_count(tx, f"by-itself:{person.tenant}:{person.no}", timedelta(days=1), now) > MAX_BY_ITSELF:
        log.warning("somebody's rules write too many letters; the letter itself has arrived")
        return
    try:
        with tx.begin_nested():
            send_letter(tx, person, email, origin=origin, now=now, attachments=attachments)
    except Refused as error:
        log.warning("a letter could not be sent by itself: %s", error.code)


def _wants_answer(email: Email, person: Account) -> bool:
    """Whether a person wrote it, to this person by name."""
    named = {_key(one.address) for one in (*email.to, *email.cc)}
    return not email.automatic and person.address.key in named and not _is_nobody(email)


def _is_nobody(email: Email) -> bool:
    local = _key(email.sender.address).rpartition("@")[0]
    return not local or _NOBODY.fullmatch(local) is not None


def _answer(email: Email, person: Account, text: str) -> Email:
    return Email(
        sender=Contact(str(person.address)),
        to=(Contact(email.sender.address, email.sender.name),),
        subject=f"Auto: {email.subject}"[:900].strip(),
        body=text_to_html(text),
        in_reply_to=email.message_id,
        references=_chain(email),
        automatic=True,
    )


def _passed_on(letter: StoredEmail, person: Account, target: str) -> Email:
    email = letter.email
    known = email.subject.lower().startswith(_KNOWN_PREFIXES)
    # no language here: names, addresses and a date speak for themselves
    head = f"{email.sender} → {', '.join(str(one) for one in email.to[:20])}"
    when = (email.sent_at or letter.received_at).strftime("%Y-%m-%d %H:%M UTC")
    return Email(
        sender=Contact(str(person.address)),
        to=(Contact(target),),
        subject=(email.subject if known else f"Fwd: {email.subject}")[:900].strip(),
        body=f"<p>{html.escape(head)}<br>{when}</p><hr>{email.body}",
        references=_chain(email),
        automatic=True,
    )


def _chain(email: Email) -> tuple[str, ...]:
    chain = tuple(dict.fromkeys((*email.references, email.message_id))) if email.message_id else email.references
    return chain[:1] + chain[1:][-20:]


def _here(tx: Connection, writer: Account, everybody: Iterable[Contact]) -> list[AccountNo]:
    """Those of ``everybody`` who live here, without the writer."""
    found: dict[AccountNo, None] = {}
    for one in everybody:
        key = _key(one.address)
        local, _at, domain = key.rpartition("@")
        person = find_account_no(tx, writer.tenant, local) if domain == writer.domain else None
        if person is not None and person != writer.no:
            found[person] = None
    return list(found)


def _key(text: str) -> str:
    try:
        return Address.parse(text).key
    except Refused:
        return ""


def _day(person: Account, now: datetime) -> date:
    try:
        return now.astimezone(ZoneInfo(person.time_zone)).date()
    except (ZoneInfoNotFoundError, ValueError):
        return now.date()
