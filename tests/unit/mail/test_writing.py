"""Letters as they leave for the world."""

from __future__ import annotations

import email
import email.policy
import re
from datetime import UTC, datetime
from email.message import EmailMessage

import pytest

from lokole.mail.errors import Refused
from lokole.mail.mime import build_mime, message_id_for, parse_email
from lokole.mail.model import Attachment, Contact, Email, EmailId

DATE = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
ID = "<0123@box.lokole.ca>"
AMINA = Contact("amina@box.lokole.ca", "Amina Kabongo")
BOB = Contact("bob@example.org", "Bob")


def written(letter: Email, message_id: str = ID) -> bytes:
    raw = build_mime(letter, message_id=message_id, date=DATE)
    raw.decode("ascii")
    assert not re.search(rb"(?<!\r)\n|\r(?!\n)", raw), "every line ends in CRLF"
    assert max(map(len, raw.split(b"\r\n"))) <= 998
    return raw


def reread(raw: bytes) -> EmailMessage:
    """The message as the standard library's newer parser sees it, which complains about defects."""
    message = email.message_from_bytes(raw, policy=email.policy.SMTP)
    assert isinstance(message, EmailMessage)
    assert [part.defects for part in message.walk() if part.defects] == []
    for value in message.values():
        assert getattr(value, "defects", ()) == ()
    return message


def test_letter_has_the_headers_it_needs() -> None:
    message = reread(written(Email(AMINA, to=(BOB,), subject="Hello", body="<p>Hi</p>")))
    assert message["From"] == "Amina Kabongo <amina@box.lokole.ca>"
    assert message["To"] == "Bob <bob@example.org>"
    assert message["Message-ID"] == ID
    assert message["Date"] == "Sun, 01 Mar 2026 12:30:00 +0000"
    assert message["MIME-Version"] == "1.0"
    assert message.get_content_type() == "multipart/alternative"
    plain = message.get_body(("plain",))
    html = message.get_body(("html",))
    assert plain is not None and plain.get_content().strip() == "Hi"
    assert html is not None and html.get_content().strip() == "<html><body><p>Hi</p></body></html>"


def test_bcc_is_never_written() -> None:
    raw = written(Email(AMINA, bcc=(Contact("secret@example.org", "Secret"),), body="x"))
    assert b"secret" not in raw.lower()
    assert b"bcc" not in raw.lower()
    assert b"To: undisclosed-recipients:;\r\n" in raw


@pytest.mark.parametrize("end", ["\r\n", "\n", "\r", "\x85", "\u2028", "\x0b", "\x0c", "\x00"])
def test_no_value_can_begin_a_header(end: str) -> None:
    evil = f"x{end}Bcc: victim@example.org{end}{end}<script>"
    letter = Email(
        Contact("amina@box.lokole.ca", evil),
        to=(Contact("bob@example.org", evil), Contact(f"b@example.org{end}Bcc: victim@example.org")),
        cc=(Contact(evil, evil),),
        reply_to=(Contact("amina@box.lokole.ca", evil),),
        subject=evil,
        body="x",
        in_reply_to=evil,
        references=(evil, "<a@b>"),
        attachments=(Attachment(evil, b"1", f"text/plain{end}Bcc: victim@example.org", evil),),
    )
    raw = written(letter)
    assert not re.search(rb"(?im)^bcc", raw)
    message = reread(raw)
    assert "Bcc" not in message
    assert [part["Bcc"] for part in message.walk()] == [None] * len(list(message.walk()))


def test_injected_message_id_is_refused() -> None:
    for bad in ("", "x", "<a b@c>", "<a@b>\r\nBcc: x@y", "<a@b><c@d>"):
        with pytest.raises(Refused, match="Message-ID"):
            build_mime(Email(AMINA), message_id=bad, date=DATE)


def test_sender_without_an_address_is_refused() -> None:
    with pytest.raises(Refused) as refusal:
        build_mime(Email(Contact("", "Nobody")), message_id=ID, date=DATE)
    assert (refusal.value.code, refusal.value.field) == ("address", "from")


def test_header_from_can_be_another() -> None:
    raw = build_mime(Email(AMINA), message_id=ID, date=DATE, from_header=Contact("postmaster@box.lokole.ca"))
    assert b"From: postmaster@box.lokole.ca\r\n" in raw


def test_long_and_foreign_headers_are_folded_and_encoded() -> None:
    subject = "Mbote na bino! " + "Étudiants de l'école de Mbandaka – " * 10 + "🌍"
    people = tuple(Contact(f"p{n}@example.org", f'Élève "n° {n}", classe') for n in range(50))
    raw = written(Email(AMINA, to=people, subject=subject, body="x"))
    head = raw.partition(b"\r\n\r\n")[0]
    assert max(map(len, head.split(b"\r\n"))) <= 78
    message = reread(raw)
    assert message["Subject"] == subject
    assert [address.display_name for address in message["To"].addresses] == [person.name for person in people]
    parsed = parse_email(raw).email
    assert (parsed.subject, parsed.to) == (subject, people)


def test_a_word_of_a_thousand_characters_fits() -> None:
    parsed = parse_email(written(Email(AMINA, to=(BOB,), subject="x" * 1500, body="y" * 3000))).email
    assert parsed.subject == "x" * 1500
    assert parsed.body == "y" * 3000


def test_address_beyond_ascii_is_named_but_not_written_raw() -> None:
    raw = written(Email(AMINA, to=(Contact("jörg@bücher.example", "Jörg"), BOB)))
    assert [str(person) for person in parse_email(raw).email.to] == ["Bob <bob@example.org>"]
    assert b"@xn--bcher-kva.example" in raw.replace(b"=40", b"@").replace(b"=2E", b".").replace(b"=2D", b"-")


def test_thread_is_kept_and_shortened() -> None:
    ids = tuple(f"<{n}@example.org>" for n in range(100))
    parsed = parse_email(written(Email(AMINA, in_reply_to="<99@example.org>", references=ids))).email
    assert parsed.in_reply_to == "<99@example.org>"
    assert parsed.references == (ids[0], *ids[-20:])


def test_pictures_of_the_body_and_files_have_their_places() -> None:
    letter = Email(
        AMINA,
        to=(BOB,),
        body='<p>See <img src="cid:photo@box"></p>',
        attachments=(
            Attachment("photo.webp", b"RIFF....WEBP", "image/webp", "photo@box"),
            Attachment("other.webp", b"RIFF", "image/webp", "other@box"),
            Attachment(
                "état des lieux, très long nom de fichier pour voir ce que cela donne.pdf", b"%PDF", "application/pdf"
            ),
            Attachment("letter.eml", b"Subject: a\r\n\r\nb\r\n", "message/rfc822"),
            Attachment("foreign.eml", b"Subject: \xe9\n\nb\n", "message/rfc822"),
        ),
    )
    message = reread(written(letter))
    assert [part.get_content_type() for part in message.walk() if part.get_content_type() != "message/rfc822"][:7] == [
        "multipart/mixed",
        "multipart/alternative",
        "text/plain",
        "multipart/related",
        "text/html",
        "image/webp",
        "image/webp",
    ]
    [name] = [part.get_filename() for part in message.walk() if part.get_content_type() == "application/pdf"]
    assert name == letter.attachments[2].filename
    parsed = parse_email(written(letter)).email
    assert parsed.attachments[:4] == letter.attachments[:4]
    assert parsed.attachments[4] == Attachment("foreign.eml", b"Subject: \xe9\n\nb\n", "application/octet-stream")
    assert parsed.body == letter.body


def test_lines_that_servers_change_are_protected() -> None:
    raw = written(Email(AMINA, body="From here<br>.<br>--<br>From there"))
    assert not re.search(rb"(?m)^From |^\.", raw)
    assert parse_email(raw).email.body == "From here<br>.<br>--<br>From there"


def test_message_id_belongs_to_the_letter_and_the_domain() -> None:
    assert (
        message_id_for(EmailId(bytes(range(16))), "box.lokole.ca") == "<000102030405060708090a0b0c0d0e0f@box.lokole.ca>"
    )


def test_same_letter_is_the_same_bytes() -> None:
    letter = Email(AMINA, to=(BOB,), subject="é", body="<p>x</p>", attachments=(Attachment("a", b"b"),))
    assert written(letter) == written(letter)
    assert written(letter) != written(letter, "<4567@box.lokole.ca>")
