"""Whatever a letter holds, written and read again it says the same; whatever bytes come in, a letter comes out."""

from __future__ import annotations

import os
import random
import re
import unicodedata
from datetime import UTC, datetime
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from lokole.mail.html import html_to_text, make_safe, preview, text_to_html
from lokole.mail.mime import build_mime, parse_email
from lokole.mail.model import Attachment, Contact, Email
from tests.corpus import as_sent

MANY = settings(deadline=None, max_examples=200)
SAMPLES = sorted((Path(__file__).parents[1] / "mail-data").glob("*.eml"))

# One line of anything that can be typed.
_LINES = st.text(st.characters(exclude_categories=("Cs", "Cc", "Zl", "Zp")), max_size=120).map(
    lambda text: " ".join(text.split())
)
_LOCAL = st.from_regex(r"[a-z0-9]{1,8}(?:[.+_-][a-z0-9]{1,8})?", fullmatch=True)
_CONTACTS = st.builds(
    lambda local, domain, name: Contact(f"{local}@{domain}", name),
    _LOCAL,
    st.sampled_from(["example.org", "box.lokole.ca", "x.y.example.net"]),
    # Quotes around a whole name are taken for the sender's punctuation.
    _LINES.map(lambda text: text.strip("'\" ")[:100].strip("'\" ")),
)
_TEXT = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=300)
_BODIES = st.one_of(
    st.lists(_TEXT, max_size=5).map(lambda lines: text_to_html("\n".join(lines))),
    st.lists(st.tuples(st.sampled_from(["p", "b", "li", "pre", "td", "blockquote"]), _TEXT), max_size=5).map(
        lambda parts: "".join(f"<{tag}>{text_to_html(text)}</{tag}>" for tag, text in parts)
    ),
).map(make_safe)
_FILES = st.builds(
    Attachment,
    _LINES.map(
        lambda text: (
            re.sub(r'[\\/<>:"|?*\u200e\u200f\u202a-\u202e\u2066-\u2069]', "", text).strip(". ")[:100].strip(". ")
            or "file"
        )
    ).map(lambda name: unicodedata.normalize("NFC", name)),
    st.binary(max_size=500),
    st.sampled_from(["application/pdf", "image/webp", "application/octet-stream", "audio/amr"]),
)
_LETTERS = st.builds(
    Email,
    sender=_CONTACTS,
    to=st.lists(_CONTACTS, min_size=1, max_size=5).map(tuple),
    cc=st.lists(_CONTACTS, max_size=3).map(tuple),
    reply_to=st.lists(_CONTACTS, max_size=1).map(tuple),
    subject=_LINES,
    body=_BODIES,
    attachments=st.lists(_FILES, max_size=3).map(tuple),
)


@MANY
@given(_LETTERS)
def test_letter_written_and_read_again_is_the_same(letter: Email) -> None:
    raw = build_mime(letter, message_id="<1@box.lokole.ca>", date=datetime(2026, 3, 1, tzinfo=UTC))
    raw.decode("ascii")
    assert not re.search(rb"(?<!\r)\n|\r(?!\n)", raw)
    assert max(map(len, raw.split(b"\r\n"))) <= 998
    parsed = parse_email(raw)
    found = parsed.email
    assert (found.sender, found.to, found.cc, found.reply_to) == (letter.sender, letter.to, letter.cc, letter.reply_to)
    assert found.subject == letter.subject
    if html_to_text(letter.body).strip():
        assert html_to_text(found.body) == html_to_text(letter.body)
    assert found.attachments == letter.attachments
    assert parsed.problems == ()


@MANY
@given(st.binary(max_size=2000))
def test_any_bytes_are_a_letter(raw: bytes) -> None:
    parse_email(raw)


_PIECES = st.sampled_from(
    [
        *(
            b"From: ",
            b"To: ",
            b"Subject: ",
            b"Date: ",
            b"Content-Type: ",
            b"Content-Disposition: ",
            b"MIME-Version: 1.0\n",
        ),
        *(
            b"multipart/mixed; boundary=b\n",
            b"multipart/alternative; boundary=c\n",
            b"text/html; charset=",
            b"message/rfc822\n",
        ),
        *(
            b"Content-Transfer-Encoding: base64\n",
            b"Content-Transfer-Encoding: quoted-printable\n",
            b"\n\n",
            b"\n--b\n",
            b"\n--b--\n",
        ),
        *(
            b"\n--c\n",
            b"\n--c--\n",
            b"=?utf-8?b?",
            b"=?utf-8?q?",
            b"?=",
            b"filename*0*=",
            b"filename*=utf-8''%",
            b'"',
            b"\\",
            b"<",
            b">",
        ),
        *(
            b"(",
            b")",
            b",",
            b";",
            b":",
            b"@",
            b"=",
            b"<a href=",
            b"<img src=cid:",
            b"<script>",
            b"<!--",
            b"&#",
            b"utf-7",
            b"utf-16",
        ),
        *(b"idna", b"punycode", b"unicode_escape", b"\x1b$B", b"\xff\xfe", b"\x00", b"\xe9", b"\xc3\xa9", b" ", b"\r"),
    ]
)


@MANY
@given(st.lists(st.one_of(_PIECES, st.binary(max_size=8)), max_size=60).map(b"".join))
def test_any_pieces_of_messages_are_a_letter(raw: bytes) -> None:
    email = parse_email(raw).email
    shown = "".join([email.subject, email.body, email.sender.name, *(file.filename for file in email.attachments)])
    assert not re.search("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff]", shown)
    shown.encode("utf-8")


@MANY
@given(st.text(max_size=500))
def test_any_markup_can_be_made_safe_and_read(html: str) -> None:
    safe = make_safe(html)
    assert make_safe(safe) == safe
    html_to_text(html)
    html_to_text(safe)
    assert len(preview(html)) <= 120


@MANY
@given(st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=200))
def test_text_shown_as_text_reads_the_same(text: str) -> None:
    assert html_to_text(text_to_html(text)).strip() == text.replace("\u00a0", " ").strip()


def damaged(raw: bytes, chance: random.Random) -> bytes:
    """``raw`` with a few of the things that lines, disks and programs do to messages."""
    for _ in range(chance.randint(1, 6)):
        at = chance.randrange(len(raw) + 1)
        length = chance.randint(1, 40)
        match chance.randrange(6):
            case 0:
                raw = raw[:at] + chance.randbytes(length) + raw[at + length :]
            case 1:
                raw = raw[:at] + raw[at + length :]
            case 2:
                raw = raw[:at] + raw[at : at + length] * 3 + raw[at:]
            case 3:
                raw = raw[:at]
            case 4:
                raw = raw[:at] + bytes([chance.choice(b'"\\<>()=?;:,@\r\n\x00\x80\xff')]) + raw[at:]
            case _:
                raw = raw.replace(b"\r\n", chance.choice([b"\n", b"\r", b"\r\n\r\n"]), chance.randint(1, 20))
    return raw


def test_damaged_message_is_a_letter() -> None:
    seed = int(os.environ.get("LOKOLE_TEST_SEED", random.SystemRandom().randrange(2**32)))
    print(f"LOKOLE_TEST_SEED={seed}")
    chance = random.Random(seed)
    samples = [as_sent(file.read_bytes()) for file in SAMPLES]
    for _ in range(3000):
        email = parse_email(damaged(chance.choice(samples), chance)).email
        assert isinstance(email.body, str)
