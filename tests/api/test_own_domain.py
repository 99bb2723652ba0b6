"""P12: a box sends as its own domain and writes its own people and ids, whatever its packages say.

No sender is rewritten here: what leaves is the address that the box named, in its normal form, or nothing.
So there is no rewriting in which two senders could become one; that the normal form keeps two addresses apart is tested below.
What left is read by another parser than the one that wrote it (Python's own, with its newest policy).
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

import pytest
from sqlalchemy import func, select

from lokole.adapters.mail_out.recorder import Sent
from lokole.mail.errors import Refused
from lokole.mail.model import Address, Attachment, Contact, Email, EmailId
from lokole.mailbox import accounts
from lokole.mailbox.schema import email, quarantine
from lokole.sync.records import (
    AccountRecord,
    AckRecord,
    AnyRecord,
    AttachmentRecord,
    EmailRecord,
    FlagRecord,
    ToldRecord,
)
from tests.api.test_access_matrix import fingerprint
from tests.unit.server.place import BoxAtPlace, Place, message
from tests.unit.server.test_unpack import archive, line

OWN = "a.lokole.test"
#: how many pairs of addresses are compared; ``make proof-machines`` asks for a million
PAIRS = int(os.environ.get("LOKOLE_TEST_ADDRESS_PAIRS", "10000"))

#: domains that are not the box's: another tenant, the world, the parent, neighbours in spelling and in letters
FOREIGN = (
    "b.lokole.test",
    "example.org",
    "lokole.test",
    "evil-a.lokole.test",
    "a-b.lokole.test",
    "aa.lokole.test",
    "sub.a.lokole.test",
    "a.lokole.test.example.org",
    "a.lokole.testx",
    "a-lokole.test",
    "xn--80a.lokole.test",
    "а.lokole.test",  # a Cyrillic letter
    "ａ.lokole.tést",  # a wide letter, which IDNA would make the right one, and a letter that is not
)
#: ways to write a sender of a domain ``f`` so that somebody may take it for one of ``own``
TRICKS = (
    "ann@{f}",
    "ANN@{F}",
    "ann@{f}.",
    "ann@{f}...",
    "<ann@{f}>",
    " ann@{f} ",
    "\tann@{f}",
    "ann@{f}\r\n",
    "ann@{own}@{f}",
    "ann@{f}@{f}",
    "ann@{f}, ann@{own}",
    "ann@{own}, ann@{f}",
    "ann@{f};ann@{own}",
    "ann@{own} ann@{f}",
    "Ann <ann@{f}>",
    "ann@{own} <ann@{f}>",
    '"ann@{own}" <ann@{f}>',
    "ann@{f} (ann@{own})",
    "(ann@{own}) ann@{f}",
    '"ann@{own}"@{f}',
    "@{own}:ann@{f}",
    "{own}!ann@{f}",
    "ann%{own}@{f}",
    "ann+{own}@{f}",
    "=?utf-8?q?ann=40{own}?= <ann@{f}>",
    "=?utf-8?q?ann=40{own}=2C?=@{f}",
    "ann@{own}\r\nFrom: ann@{f}",
    "ann@{f}\r\nFrom: ann@{own}",
    "ann@{own}\nSender: ann@{f}",
    "ann@{own}\x00@{f}",
    "ann@{f}\x00@{own}",
    "ann@{own}\x00.{f}",
    "ann@{f}/@{own}",
    "ann@{f}?@{own}#@{f}",
    "ann@{f}%00@{own}",
    "ann@\u200b{f}",
    "ann\uff20{own}@{f}",
    "\u202eann@{f}",
    "mailto:ann@{f}",
    "ann@{f}&from=ann@{own}",
)
#: what is nobody's address at all
NOBODY: tuple[Any, ...] = (
    "", "@", "ann", "ann@", f"@{OWN}", OWN, f"ann@@{OWN}", f"ann@.{OWN}", f"ann@{OWN.replace('.', '..')}", "ann@[127.0.0.1]",
    "ann@127.0.0.1", "ann@localhost", f"ann @{OWN}x", None, 7, [], {}, [f"ann@{OWN}"], True, "\ud800@b.lokole.test",
)  # fmt: skip


def hostile() -> Iterator[Any]:
    for domain in FOREIGN:
        for trick in TRICKS:
            yield trick.format(f=domain, F=domain.upper(), own=OWN)
    yield from NOBODY


def is_own(text: Any) -> bool:
    """Whether the whole of ``text`` is one address of the box, read by nothing of ours: then it may send."""
    if not isinstance(text, str):
        return False
    local, at, domain = text.strip().lower().rstrip(".").partition("@")
    return (at, domain) == ("@", OWN) and local.isalnum()


@pytest.fixture
def box(place: Place) -> BoxAtPlace:
    return place.box(OWN, ["ann"])


@pytest.fixture
def neighbour(place: Place) -> BoxAtPlace:
    found = place.box("b.lokole.test", ["ann", "bob"])
    place.webhook(found.webhook, message(to="bob@b.lokole.test", subject="Secret"), ["bob@b.lokole.test"])
    found.put_sealed([letter("0" * 31 + "1", sender=Contact("bob@b.lokole.test"), subject="Theirs")])
    return found


def letter(uid: str, **fields: Any) -> EmailRecord:
    plain: dict[str, Any] = {"sender": Contact(f"ann@{OWN}"), "to": (Contact("bob@example.org"),)}
    return EmailRecord(uid, Email(**(plain | fields)))


def in_groups(some: list[Any], size: int = 100) -> Iterator[list[Any]]:
    yield from (some[at : at + size] for at in range(0, len(some), size))


def test_there_are_enough_hostile_senders_and_none_is_honest() -> None:
    found = list(hostile())
    assert len(found) > 500
    assert not [text for text in found if is_own(text)]
    assert is_own(f" Ann@{OWN.upper()}. ")


def test_nobody_elses_address_is_accepted_as_a_sender(place: Place, box: BoxAtPlace, neighbour: BoxAtPlace) -> None:
    before, sent = elsewhere(place, box), len(place.world.attempts)
    cases = list(hostile())
    for n, some in enumerate(in_groups(cases)):
        box.put_bytes(archive([line(f"{n}-{k}", sender=text) for k, text in enumerate(some)]), seq=100 + n)
    plain = [text for text in cases if isinstance(text, str) and FOREIGN[0] in text]
    for n, some in enumerate(in_groups(plain)):
        records = [letter(f"{n * 1000 + k:032x}", sender=Contact(text)) for k, text in enumerate(some)]
        box.put_sealed(records, seq=200 + n)
    assert len(place.world.attempts) == sent, place.world.attempts[sent:][:1]
    with place.ports.database.read() as tx:
        query = select(func.count()).select_from(quarantine).where(quarantine.c.tenant == place.row(OWN).no)
        apart = tx.execute(query).scalar()
    assert apart == len(cases) + len(plain), "each of them is kept apart, none is dropped in silence"
    assert elsewhere(place, box) == before


#: what a field of a letter may hold to become another header, an address, or the end of the letter
INJECTIONS = (
    "x\r\nFrom: eve@{f}",
    "x\nFrom: eve@{f}",
    "x\rFrom: eve@{f}",
    "x\r\nSender: eve@{f}",
    "x\r\nResent-From: eve@{f}",
    "x\r\nReply-To: eve@{f}",
    "x\r\nReturn-Path: <eve@{f}>",
    "x\r\nBcc: eve@{f}",
    "x\r\n\r\nFrom: eve@{f}\r\n\r\n",
    "x\u2028From: eve@{f}",
    "x\x85From: eve@{f}",
    "x\x0b\x0cFrom: eve@{f}",
    "x\x00\nFrom: eve@{f}",
    "=?utf-8?q?x=0D=0AFrom=3A_eve=40{f}?=",
    "=?utf-8?b?DQpGcm9tOiBldmVAYi5sb2tvbGUudGVzdA==?=",
    "x" * 1200 + "\r\n From: eve@{f}",
    "x\r\n.\r\nMAIL FROM:<eve@{f}>",
)
FIELDS = (
    "subject", "name", "to-name", "cc-name", "to", "cc", "reply-to", "reply-to-name", "message-id", "in-reply-to",
    "references", "filename", "type", "cid", "body",
)  # fmt: skip


def with_injection(uid: str, field: str, text: str) -> EmailRecord:
    """An honest letter of ann but for one field."""
    bob = Contact("bob@example.org")
    fields: dict[str, dict[str, Any]] = {
        "subject": {"subject": text},
        "name": {"sender": Contact(f"ann@{OWN}", text)},
        "to-name": {"to": (Contact("bob@example.org", text),)},
        "cc-name": {"cc": (Contact("carl@example.org", text),)},
        "to": {"to": (bob, Contact(text))},
        "cc": {"cc": (Contact(text),)},
        "reply-to": {"reply_to": (Contact(text), Contact(f"ann@{OWN}"), Contact("eve@b.lokole.test"))},
        "reply-to-name": {"reply_to": (Contact(f"ann@{OWN}", text),)},
        "message-id": {"message_id": f"<{text}@{OWN}>"},
        "in-reply-to": {"in_reply_to": f"<{text}@{OWN}>"},
        "references": {"references": (text, f"<{text}>")},
        "filename": {"attachments": (Attachment(text, b"x", "text/plain"),)},
        "type": {"attachments": (Attachment("a", b"x", text),)},
        "cid": {"attachments": (Attachment("a.png", b"x", "image/png", text),), "body": f'<img src="cid:{text}">'},
        "body": {"body": f"{text}<p>{text}</p>"},
    }
    return letter(uid, **fields[field])


def test_no_field_of_a_letter_makes_it_anothers(place: Place, box: BoxAtPlace, neighbour: BoxAtPlace) -> None:
    before, already = elsewhere(place, box), len(place.world.sent)
    cases = [(field, text.format(f="b.lokole.test")) for field in FIELDS for text in INJECTIONS]
    assert len(cases) > 250
    for n, some in enumerate(in_groups(cases)):
        box.put_sealed([with_injection(f"{n * 1000 + k:032x}", *one) for k, one in enumerate(some)], seq=300 + n)
    sent = place.world.sent[already:]
    assert len(sent) >= len(cases) * 3 // 4, "most are honest letters and leave"
    for one in sent:
        assert_own(one)
    assert elsewhere(place, box) == before


def assert_own(sent: Sent) -> None:
    """One sender of the own domain in envelope and headers, as another parser and a plain reader of lines see them."""
    assert sent.sender.rpartition("@")[2] == OWN
    read = message_from_bytes(sent.message, policy=policy.default)
    assert isinstance(read, EmailMessage)
    (sender,) = read["From"].addresses
    assert (sender.username, sender.domain) == ("ann", OWN)
    head = sent.message.partition(b"\r\n\r\n")[0].replace(b"\r\n ", b" ").replace(b"\r\n\t", b" ")
    assert b"\r" not in head.replace(b"\r\n", b"") and b"\n" not in head.replace(b"\r\n", b"")
    names = [one.partition(b":")[0].lower() for one in head.split(b"\r\n")]
    assert names.count(b"from") == 1
    assert not {b"sender", b"return-path", b"resent-from", b"bcc", b"apparently-to"} & set(names)
    if "Reply-To" in read:
        assert {one.domain for one in read["Reply-To"].addresses} == {OWN}
    assert read["Message-ID"].strip().lower().endswith(f"@{OWN}>")


def test_people_of_others_cannot_be_made_or_changed(place: Place, box: BoxAtPlace, neighbour: BoxAtPlace) -> None:
    before = elsewhere(place, box)
    hashed = "$2b$12$" + "x" * 53
    cases = list(hostile())
    for n, some in enumerate(in_groups(cases)):
        users = [{"email": text, "password": hashed} for text in some]
        box.put_bytes(archive([], users), seq=400 + n)
    plain = [text for text in cases if isinstance(text, str) and FOREIGN[0] in text]
    for n, some in enumerate(in_groups(plain)):
        box.put_sealed([AccountRecord(text, hashed, "fr", 99) for text in some], seq=500 + n)
    with place.ports.database.read() as tx:
        people = accounts.list_accounts(tx, place.row(OWN).no)
    assert [one.name for one in people] == ["ann"]
    assert elsewhere(place, box) == before


def test_ids_of_others_are_nothing_to_a_box(place: Place, box: BoxAtPlace, neighbour: BoxAtPlace) -> None:
    """A flag, an acknowledgement, a complaint, a file and a letter that name the ids of the neighbour's."""
    (offered,) = neighbour.offers()
    before, sent = elsewhere(place, box), len(place.world.attempts)
    theirs = "0" * 31 + "1"
    with place.ports.database.read() as tx:
        ids = [EmailId(bytes(one)) for one in tx.execute(email.select().with_only_columns(email.c.id)).scalars()]
    records: list[AnyRecord] = [
        *(FlagRecord(id_, "bob", flag, True, 10**6, "server") for id_ in ids for flag in ("read", "deleted")),
        FlagRecord(EmailId(bytes.fromhex(theirs)), "bob", "deleted", True, 10**6, box.device_id),
        AckRecord(offered["epoch"], offered["seq"], (1, 2, 3)),
        ToldRecord(offered["sha256"], 1, "record", "no"),
        ToldRecord(offered["sha256"], 0, "damaged", "no"),
        AttachmentRecord("f", Attachment("evil.txt", b"evil", "text/plain"), (theirs,)),
    ]
    box.put_sealed(records, seq=600)
    assert elsewhere(place, box) == before
    # a letter under the neighbour's id is a letter of one's own under that id
    box.put_sealed([letter(theirs, subject="Mine")], seq=601)
    assert len(place.world.attempts) == sent + 1
    assert elsewhere(place, box) == before
    assert neighbour.offers() == [offered]


def test_two_addresses_never_become_one(place: Place) -> None:
    """The first Lokole made one sender of ``a-b@c`` and ``a@b-c``; here the normal form keeps apart what differs."""
    dice = random.Random(place.ports.entropy(8))
    found: dict[str, tuple[str, str]] = {}
    checked = 0
    while checked < PAIRS:
        local = "".join(dice.choices("ab-.+_", k=dice.randint(1, 4)))
        domain = "".join(dice.choices("ab-.", k=dice.randint(1, 4))) + ".test"
        try:
            parsed = Address.parse(f"{local}@{domain}")
        except Refused:
            continue
        checked += 1
        wire = str(parsed)
        assert found.setdefault(wire, (local, domain)) == (local, domain)
        assert wire.rpartition("@") == (local, "@", domain)


def test_look_alike_senders_stay_two(place: Place, box: BoxAtPlace) -> None:
    box.put_sealed([letter("1" * 32, sender=Contact(f"a-b@{OWN}"))], seq=2)
    dash = place.box("b-c.lokole.test", ["a"])
    dash.put_sealed([letter("2" * 32, sender=Contact("a@b-c.lokole.test"))], seq=2)
    senders = [message_from_bytes(one.message, policy=policy.default)["From"] for one in place.world.sent]
    assert senders == [f"a-b@{OWN}", "a@b-c.lokole.test"]


def elsewhere(place: Place, box: BoxAtPlace) -> str:
    """All that is stored and is not the box's, without what was sent."""
    whole = fingerprint(place, but=place.row(box.domain).no)
    return whole.rpartition(', "sent"')[0]
