"""Letters to services (``NAME@`` the domain of services): answered here, and the answer goes home in the box's next package.

Only people of a box are answered, for letters that their own box brought or that they wrote in town; never mail from outside, which does not get here,
and never a letter that a machine wrote (RFC 3834). An answer says of itself that a machine wrote it and never leaves by SMTP: nothing goes round in circles.
The answer, the state of the recipient and the end of the work are one transaction, and the answer's id is made of the letter's: a repeat is no second answer.
"""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass
from datetime import timedelta

from lokole.mail.errors import Permanent, Refused
from lokole.mail.html import html_to_text, make_safe
from lokole.mail.mime import message_id_for
from lokole.mail.model import Account, Address, Contact, DeliveryState, Email, EmailId
from lokole.mailbox import jobs, letters, tenants
from lokole.mailbox.accounts import find_account
from lokole.mailbox.attachments import StoredAttachment, put_attachments
from lokole.mailbox.database import Connection
from lokole.mailbox.entries import deliver
from lokole.mailbox.jobs import Job
from lokole.mailbox.letters import StoredEmail, store_email
from lokole.mailbox.limits import add_count
from lokole.mailbox.packages import add_waiting
from lokole.mailbox.posting import BOARD_NAME
from lokole.mailbox.recipients import set_envelope
from lokole.mailbox.shared_answers import find_hanging, hang, note_told
from lokole.mailbox.tenants import TenantRow
from lokole.ports.service import Answer, Question, Service
from lokole.server import answers, logs
from lokole.server.devices import serves_v1
from lokole.server.outgoing import find_standing
from lokole.server.ports import ServerPorts
from lokole.server.receipts import settle

log = logging.getLogger(__name__)

KIND = "answer"
_A_DAY = timedelta(days=1)
#: markup beyond this many times what was agreed on is a fault of the service
_MUCH_TOO_LONG = 4


@dataclass(frozen=True, slots=True)
class _Asked:
    """A letter to a service whose recipient is still to be answered."""

    row: TenantRow
    stored: StoredEmail
    address: Address
    writer: Address
    person: Account | None

    @property
    def language(self) -> str:
        return "en" if self.person is None or not self.person.language else self.person.language


def is_service(ports: ServerPorts, address: str) -> bool:
    """Whether letters to ``address`` are for a service here, one that is on or none."""
    try:
        return Address.parse(address).domain == ports.settings.bots_domain
    except Refused:
        return False


def queue_answering(ports: ServerPorts, tx: Connection, row: TenantRow, no: int, address: str) -> None:
    """One piece of work for a letter to a service; a repeat changes nothing. Counts what this writer has asked within a day."""
    now = ports.clock()
    key = f"{no}:{hashlib.sha256(address.encode('utf-8', 'replace')).hexdigest()[:32]}"
    ids = {"email": no, "address": address}
    if not jobs.enqueue(tx, KIND, key, ids, tenant=row.no, now=now):
        return
    writer = letters.read_email(tx, row.no, no).email.sender.address.casefold()
    count = add_count(tx, f"service:{row.no}:{writer}", _A_DAY, now)
    over = count - ports.settings.bots_per_day
    if over > 0:
        jobs.enqueue(tx, KIND, key, {**ids, "over": over}, tenant=row.no, now=now, again=True)


def run(ports: ServerPorts, job: Job) -> bool:
    """Answer one letter to one service (ids: ``email``, ``address``, ``over``: how many too many it is)."""
    asked = _find(ports, job)
    if asked is None:
        return False
    name = asked.address.local.casefold()
    service = ports.services.get(name)
    if service is None:
        return _close(ports, job, asked, None, state=DeliveryState.REFUSED, reason="nobody")
    known = asked.person is not None or serves_v1(asked.row)
    if asked.stored.email.automatic or not known:
        return _close(ports, job, asked, None)
    over = int(job.ids.get("over", 0))
    if over:
        told = answers.too_many(asked.language, ports.settings.bots_per_day) if over == 1 else None
        return _close(ports, job, asked, told)
    question = _question(asked)
    # boxes of the first Lokole have no board that could be told of an answer
    key = None if serves_v1(asked.row) else service.shared_key(question)
    if key is not None and _tell_where_it_hangs(ports, job, asked, service, question, key):
        return True
    try:
        answer = service.answer(question)
    except Permanent as error:
        log.info("a service gave up at once: %s", logs.place(error))
        answer = answers.does_not_work(asked.language, name)
    return _close(ports, job, asked, answer, key=key)


def given_up(ports: ServerPorts, job: Job, error: Exception) -> None:
    """The service did not work for long enough: its writer is told in a plain sentence."""
    asked = _find(ports, job)
    if asked is not None:
        answer = answers.does_not_work(asked.language, asked.address.local.casefold())
        _close(ports, job, asked, answer, finish=False)


def _find(ports: ServerPorts, job: Job) -> _Asked | None:
    """The letter, while this recipient is still to be answered."""
    recipient = str(job.ids["address"])
    with ports.database.read() as tx:
        found = find_standing(tx, job)
        if found is None or all(one.address != recipient for one in found[2]):
            return None
        row, stored, _ = found
        writer = Address.parse(stored.email.sender.address)
        person = find_account(tx, row.no, writer.local) if writer.domain == row.domain else None
    return _Asked(row, stored, Address.parse(recipient), writer, person)


def _question(asked: _Asked) -> Question:
    letter = asked.stored.email
    lines = html_to_text(letter.body).splitlines()
    own = [line for line in lines if not line.startswith(">")]
    if "--" in (stripped := [line.strip() for line in own]):
        own = own[: stripped.index("--")]
    files = tuple(one.filename for one in asked.stored.attachments)
    return Question(letter, "\n".join(own).strip(), asked.language, files)


def _tell_where_it_hangs(
    ports: ServerPorts, job: Job, asked: _Asked, service: Service, question: Question, key: str
) -> bool:
    """Whether the answer hangs on the board: then a sentence says so, and who asks again though they know gets the answer itself."""
    row, now = asked.row, ports.clock()
    with ports.database.write() as tx:
        tenants.lock(tx, row.no)
        found = find_hanging(tx, row.no, asked.address.local.casefold(), key, now)
        if found is None or asked.person is None:
            return False
        if not settle(
            tx, row, asked.stored.no, asked.stored.email, str(job.ids["address"]), DeliveryState.ACCEPTED, now
        ):
            return False
        own = asked.writer.key
        again = asked.person.no in found.told and add_waiting(tx, row.no, found.email, "down", own)
        if again:
            set_envelope(tx, row.no, found.email, {own: "delivered"})
            deliver(tx, row.no, found.email, asked.person.no)
        else:
            note_told(tx, row.no, asked.address.local.casefold(), key, found, asked.person.no)
            title = letters.read_email(tx, row.no, found.email).email.subject
            answer = answers.it_hangs(asked.language, title, found.since, found.until, asked.person.time_zone)
            _store(tx, asked, answer, [], ports)
        jobs.finish(tx, job)
    ports.bell.ring()
    return True


def _close(
    ports: ServerPorts,
    job: Job,
    asked: _Asked,
    answer: Answer | None,
    *,
    key: str | None = None,
    state: DeliveryState = DeliveryState.ACCEPTED,
    reason: str = "",
    finish: bool = True,
) -> bool:
    """Store the answer for its way home and say that the letter has arrived; nothing when that was done before."""
    row, now = asked.row, ports.clock()
    files: list[StoredAttachment] = []
    if answer is not None:
        answer = answers.fitting(answer, asked.language, ports.settings.bots_file_bytes)
        if len(answer.body.encode()) > ports.settings.bots_answer_bytes * _MUCH_TOO_LONG:
            answer = answers.does_not_work(asked.language, asked.address.local.casefold())
        files = put_attachments(ports.blobs, row.domain, answer.attachments)
    with ports.database.write() as tx:
        tenants.lock(tx, row.no)
        address = str(job.ids["address"])
        changed = settle(tx, row, asked.stored.no, asked.stored.email, address, state, now, reason=reason)
        if changed and answer is not None:
            _store(tx, asked, answer, files, ports, key)
        if finish:
            jobs.finish(tx, job)
    ports.bell.ring()
    return True


def _store(
    tx: Connection,
    asked: _Asked,
    answer: Answer,
    files: list[StoredAttachment],
    ports: ServerPorts,
    key: str | None = None,
) -> None:
    row, now, original = asked.row, ports.clock(), asked.stored.email
    name = asked.address.local.casefold()
    person = asked.person
    shared = key is not None and answer.valid_for is not None and person is not None
    if shared and key is not None and find_hanging(tx, row.no, name, key, now) is not None:
        shared = False  # somebody else's answer to the same question was faster
    id = answer_id(asked.stored.id, asked.address)
    board = Address(BOARD_NAME, row.domain)
    letter = Email(
        sender=Contact(asked.address.key, f"Lokole {name}"),
        # what hangs on the board says nothing of who has asked
        to=(Contact(str(board)) if shared else Contact(str(asked.writer), original.sender.name),),
        subject=answer.subject[:300],
        body=make_safe(answer.body),
        sent_at=now,
        message_id=message_id_for(id, row.domain),
        in_reply_to="" if shared else original.message_id,
        references=(original.message_id,) if original.message_id and not shared else (),
        automatic=True,
    )
    deliver_to = () if person is None else (person.no,)
    no, _ = store_email(tx, row.no, letter, id=id, received_at=now, attachments=files, deliver_to=deliver_to)
    states = {asked.writer.key: "delivered"}
    if shared and key is not None and answer.valid_for is not None and person is not None:
        states[board.key] = "delivered"
        hang(tx, row.no, name, key, no, now=now, until=now + answer.valid_for, asker=person.no)
    set_envelope(tx, row.no, no, states)
    add_waiting(tx, row.no, no, "down")


def answer_id(id: EmailId, address: Address) -> EmailId:
    """The id of the answer of the service at ``address`` to the letter ``id``: the same at every repeat."""
    return EmailId(hashlib.sha256(b"answer\0" + id + address.key.encode("utf-8", "replace")).digest()[:16])


__all__ = ["KIND", "answer_id", "given_up", "is_service", "queue_answering", "run"]
