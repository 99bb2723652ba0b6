"""What the server writes itself: a letter home when one cannot be delivered, a word to whom one was too large for, and a notice to a proved sender outside.

A letter to somebody at a box is stored for them like any other and travels in the next package: it never leaves by SMTP,
so it cannot be answered by a machine or bounce. The notice outside goes out with the null sender (RFC 5321 section 4.5.5)
and says that a machine wrote it (RFC 3834); nobody answers it.
"""

from __future__ import annotations

import html
from contextlib import suppress
from dataclasses import replace
from datetime import datetime

from lokole.mail.errors import NotFound, Permanent
from lokole.mail.mime import build_mime, message_id_for
from lokole.mail.model import Account, Address, Contact, Email, EmailId
from lokole.mailbox import jobs, letters, tenants
from lokole.mailbox.accounts import find_account
from lokole.mailbox.database import Connection
from lokole.mailbox.identity import next_email_id
from lokole.mailbox.jobs import Job
from lokole.mailbox.packages import add_waiting
from lokole.mailbox.recipients import set_envelope
from lokole.mailbox.tenants import REMOVED, TenantRow
from lokole.server.ports import ServerPorts
from lokole.sync.ids import SERVER_ORIGIN

#: Subject, then the body: to whom, about what, and what the other side said.
_HOME = {
    "en": (
        "Your letter did not arrive: {subject}",
        "<p>Your letter “{subject}” to {recipient} could not be delivered.</p>"
        "<p>The other side said: {reason}</p>"
        "<p>Check the address, and send the letter again if it was wrong. Nobody reads answers to this note.</p>",
    ),
    "fr": (
        "Votre lettre n’est pas arrivée : {subject}",
        "<p>Votre lettre « {subject} » à {recipient} n’a pas pu être remise.</p>"
        "<p>L’autre côté a répondu : {reason}</p>"
        "<p>Vérifiez l’adresse et renvoyez la lettre si elle était fausse. Personne ne lit les réponses à ce message.</p>",
    ),
    # drafts for native readers, as the catalogues of the pages are
    "ln": (
        "Mokanda na yo ekomaki te: {subject}",
        "<p>Mokanda na yo “{subject}” epai ya {recipient} ekokaki kokoma te.</p>"
        "<p>Bato ya kuna balobi: {reason}</p>"
        "<p>Tala adresse, mpe tinda mokanda lisusu soki ezalaki ya mabe. Moto te atangaka biyano ya maloba oyo.</p>",
    ),
    "sw": (
        "Barua yako haikufika: {subject}",
        "<p>Barua yako “{subject}” kwa {recipient} haikuweza kufikishwa.</p>"
        "<p>Upande wa pili ulisema: {reason}</p>"
        "<p>Angalia anwani, na utume barua tena ikiwa ilikuwa na kosa. Hakuna anayesoma majibu ya ujumbe huu.</p>",
    ),
}
#: Subject, then the body: who wrote, about what, and how many megabytes a letter may have.
_TOO_LARGE = {
    "en": (
        "A letter to you was too large: {subject}",
        "<p>{sender} wrote you a letter, “{subject}”. It has more than {most} MB, which Lokole cannot carry.</p>"
        "<p>Answer this note, and ask for it again with fewer or smaller files.</p>",
    ),
    "fr": (
        "Une lettre pour vous était trop grosse : {subject}",
        "<p>{sender} vous a écrit une lettre, « {subject} ». Elle fait plus de {most} Mo, ce que Lokole ne peut pas porter.</p>"
        "<p>Répondez à ce message, et demandez-la de nouveau avec moins de fichiers, ou de plus petits.</p>",
    ),
    # drafts for native readers, as above
    "ln": (
        "Mokanda na yo ezalaki monene mingi: {subject}",
        "<p>{sender} akomelaki yo mokanda “{subject}”. Eleki {most} MB, Lokole ekoki komema yango te.</p>"
        "<p>Yanola na mokanda oyo, mpe senga ye atinda yango lisusu na bafichier ya moke.</p>",
    ),
    "sw": (
        "Barua yako ilikuwa kubwa mno: {subject}",
        "<p>{sender} alikuandikia barua “{subject}”. Inazidi MB {most}, na Lokole haiwezi kuibeba.</p>"
        "<p>Jibu ujumbe huu, na uombe itumwe tena ikiwa na faili chache au ndogo zaidi.</p>",
    ),
}
#: Reasons of our own, by their stable word.
REASONS = {
    "expired": {
        "en": "it could not be reached for five days.",
        "fr": "il a été impossible de le joindre pendant cinq jours.",
        "ln": "bakokaki kokuta yango te mikolo mitano.",
        "sw": "haikuweza kufikiwa kwa siku tano.",
    },
    "address": {
        "en": "this is not a valid address.",
        "fr": "cette adresse n’est pas valable.",
        "ln": "adresse oyo ezali malamu te.",
        "sw": "anwani hii si sahihi.",
    },
    "nobody": {
        "en": "nobody there has this name.",
        "fr": "personne n’y porte ce nom.",
        "ln": "moto te kuna azali na kombo oyo.",
        "sw": "hakuna mtu huko mwenye jina hili.",
    },
    "suppressed": {
        "en": "letters to this address have come back before. Whoever runs the server can allow it again.",
        "fr": "des lettres à cette adresse sont déjà revenues. La personne qui gère le serveur peut l’autoriser à nouveau.",
        "ln": "mikanda epai ya adresse oyo ezongaki liboso. Moto oyo atambwisaka serveur akoki kopesa lisusu nzela.",
        "sw": "barua kwa anwani hii zimerudi hapo awali. Msimamizi wa seva anaweza kuiruhusu tena.",
    },
    "complaint": {
        "en": "this person has marked a letter from you as unwanted.",
        "fr": "cette personne a signalé une de vos lettres comme indésirable.",
        "ln": "moto oyo alobi ete alingaki mokanda na yo te.",
        "sw": "mtu huyu ameitia barua yako alama ya kutotakiwa.",
    },
    "many-a-day": {
        "en": "more letters were waiting than may leave for one person.",
        "fr": "il y avait plus de lettres en attente qu’il ne peut en partir pour une personne.",
        "ln": "mikanda ezalaki mingi koleka oyo ekoki kobima mpo na moto moko.",
        "sw": "barua zilizosubiri zilikuwa nyingi kuliko zinazoruhusiwa kwa mtu mmoja.",
    },
    "fault": {
        "en": "something went wrong at the server.",
        "fr": "une erreur s’est produite sur le serveur.",
        "ln": "likambo moko etambolaki malamu te na serveur.",
        "sw": "kuna kitu kilienda vibaya kwenye seva.",
    },
}


def reason_text(reason: str, language: str) -> str:
    """A stable word as a sentence; what the other side said stays as it is, in its own language."""
    known = REASONS.get(reason)
    return reason if known is None else known[language if language in known else "en"]


def write_home(
    tx: Connection, row: TenantRow, writer: str, original: Email, recipient: str, reason: str, now: datetime
) -> bool:
    """Store a letter to ``writer`` saying that ``original`` did not reach ``recipient``; False when nobody here is the writer.

    Part of the caller's transaction, which also notes the refusal, so that there is one such letter and no more.
    """
    address = Address.parse(writer)
    person = find_account(tx, row.no, address.local)
    if address.domain != row.domain:
        return False
    language = person.language.partition("-")[0] if person is not None else "en"
    subject, body = _HOME.get(language, _HOME["en"])
    said = original.subject or "…"
    letter = Email(
        sender=Contact(f"postmaster@{row.domain}", "Lokole"),
        to=(Contact(str(address), original.sender.name),),
        subject=subject.format(subject=said)[:200],
        body=body.format(
            subject=html.escape(said),
            recipient=html.escape(recipient),
            reason=html.escape(reason_text(reason, language)),
        ),
        in_reply_to=original.message_id,
        references=(original.message_id,) if original.message_id else (),
    )
    _store(tx, row, address, person, letter, now)
    return True


def write_too_large(
    tx: Connection, row: TenantRow, recipient: Address, original: Email, most: int, now: datetime
) -> None:
    """Store a letter to ``recipient``, at ``row``, saying that ``original`` did not come because it has more than ``most`` megabytes.

    An answer to it goes to whoever wrote. Part of the caller's transaction, which also notes that it was told.
    """
    person = find_account(tx, row.no, recipient.local)
    language = person.language.partition("-")[0] if person is not None else "en"
    subject, body = _TOO_LARGE.get(language, _TOO_LARGE["en"])
    said, sender = original.subject or "…", original.sender
    letter = Email(
        sender=Contact(f"postmaster@{row.domain}", "Lokole"),
        to=(Contact(str(recipient)),),
        reply_to=(sender,) if sender.address else (),
        subject=subject.format(subject=said)[:200],
        body=body.format(
            subject=html.escape(said), sender=html.escape(sender.name or sender.address or "…"), most=most
        ),
    )
    _store(tx, row, recipient, person, letter, now)


def _store(
    tx: Connection, row: TenantRow, address: Address, person: Account | None, letter: Email, now: datetime
) -> None:
    id = next_email_id(tx, SERVER_ORIGIN)
    dated = replace(letter, sent_at=now, message_id=message_id_for(id, row.domain))
    deliver_to = () if person is None else (person.no,)
    no, _ = letters.store_email(tx, row.no, dated, id=id, received_at=now, deliver_to=deliver_to)
    set_envelope(tx, row.no, no, {address.key: "delivered"})
    add_waiting(tx, row.no, no, "down")


def run(ports: ServerPorts, job: Job) -> bool:
    """Tell a proved sender outside that nobody at the box has this name (ids: ``email``, ``address``, ``sender``)."""
    try:
        with ports.database.read() as tx:
            row = tenants.get_tenant(tx, job.tenant or 0)
            if row.state == REMOVED:
                return False
            original = letters.read_email(tx, row.no, int(job.ids["email"]))
    except NotFound:
        return False
    sender, address = str(job.ids["sender"]), str(job.ids["address"])
    now = ports.clock()
    id = EmailId(bytes.fromhex(original.id.hex())[::-1])  # of its own, and the same at every repeat
    note = Email(
        sender=Contact(f"postmaster@{row.domain}", "Lokole"),
        to=(Contact(sender),),
        subject="Undelivered letter",
        body=f"<p>Your letter to {html.escape(address)} was not delivered: nobody there has this name.</p>",
        in_reply_to=original.email.message_id,
        references=(original.email.message_id,) if original.email.message_id else (),
    )
    message = build_mime(note, message_id=message_id_for(id, row.domain), date=now)
    # a notice that is refused is not answered by another notice
    with suppress(Permanent):
        ports.mail_out.send(sender="", recipient=sender, message=b"Auto-Submitted: auto-replied\r\n" + message)
    with ports.database.write() as tx:
        jobs.finish(tx, job)
    return True
