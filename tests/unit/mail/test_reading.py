"""Messages with one odd thing each: ``tests/mail-data``, and small ones written here."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from lokole.mail.errors import Refused
from lokole.mail.mime import MimeLimits, ParsedEmail, parse_email
from lokole.mail.model import Contact

SAMPLES = Path(__file__).parents[2] / "mail-data"


def sample(name: str) -> ParsedEmail:
    return parse_email((SAMPLES / f"{name}.eml").read_bytes())


def names(parsed: ParsedEmail) -> list[str]:
    return [attachment.filename for attachment in parsed.email.attachments]


def test_every_sample_says_what_is_odd_about_it() -> None:
    files = sorted(SAMPLES.glob("*.eml"))
    assert len(files) >= 20
    for file in files:
        assert b"X-What-Is-Odd: " in file.read_bytes(), file.name


def test_plain_letter_is_read() -> None:
    email = sample("plain").email
    assert email.sender == Contact("amina@example.org", "Amina Kabongo")
    assert email.to == (Contact("grace@box.lokole.ca", "Grace"),)
    assert email.subject == "Market day"
    assert email.sent_at == datetime(2026, 3, 3, 6, 15, tzinfo=UTC)
    assert email.message_id == "<plain@example.org>"
    assert email.body == "The market is on Friday.<br>Bring a &lt; b and c &gt; d; salt &amp; sugar."


def test_markup_is_shown_and_its_own_picture_kept() -> None:
    parsed = sample("alternative-with-picture")
    assert parsed.email.body == '<p>La <b>récolte</b> est bonne.<img src="cid:dot@example.org" alt="a dot"> </p>'
    [picture] = parsed.email.attachments
    assert (picture.type, picture.cid) == ("image/png", "dot@example.org")
    assert picture.content.startswith(b"\x89PNG")


def test_markup_can_be_asked_for_as_it_came() -> None:
    raw = (SAMPLES / "alternative-with-picture.eml").read_bytes()
    assert "<script>alert(1)</script>" in parse_email(raw, sanitise=False).email.body
    raw = (SAMPLES / "plain.eml").read_bytes()
    assert "a &lt; b" in parse_email(raw, sanitise=False).email.body


def test_unknown_charset_is_read_as_utf_8() -> None:
    parsed = sample("unknown-charset")
    assert parsed.email.body == "L'école est ouverte."
    assert parsed.problems == ("unknown-charset:klingon-8",)


def test_wrong_charset_is_read_as_windows_1252() -> None:
    assert sample("wrong-charset").email.body == "L'école coûte 5 €."


def test_raw_bytes_in_headers_are_read() -> None:
    email = sample("raw-8bit-headers").email
    assert email.subject == "Réunion"
    assert email.cc == (Contact("andre@example.org", "André"),)


def test_broken_encoded_words_are_decoded_as_far_as_they_go() -> None:
    assert sample("broken-encoded-words").email.subject == "Bonjour le monde é"


def test_rfc_2231_file_name_is_joined() -> None:
    assert names(sample("rfc2231-name")) == ["€ rates.pdf"]


def test_file_names_are_decoded_and_made_harmless() -> None:
    assert names(sample("broken-names")) == [
        "passwd",
        "résumé.txt",
        "naïve file.txt",
        "image-4.jpg",
        "photogpj.exe",
        "%zzé.bin",
    ]


def test_forwarded_message_stays_one_file() -> None:
    parsed = sample("forwarded-message")
    assert parsed.email.body == "See below."
    [inner] = parsed.email.attachments
    assert (inner.filename, inner.type) == ("The list.eml", "message/rfc822")
    assert names(parse_email(inner.content)) == ["list.csv"]


def test_calendar_of_an_alternative_is_a_file() -> None:
    parsed = sample("calendar")
    assert parsed.email.body == "Meeting on Monday."
    assert names(parsed) == ["invite.ics"]


def test_delivery_status_is_kept_beside_its_words() -> None:
    parsed = sample("delivery-status")
    assert parsed.email.body == "It did not arrive."
    assert names(parsed) == ["delivery-status.txt", "headers.txt"]
    assert b"Status: 5.1.1" in parsed.email.attachments[0].content


def test_winmail_dat_is_kept_and_named() -> None:
    assert names(sample("winmail")) == ["winmail.dat"]


def test_uuencoded_text_stays_text() -> None:
    parsed = sample("uuencoded-text")
    assert "begin 644 a.txt" in parsed.email.body
    assert parsed.email.attachments == ()


def test_flowed_paragraphs_are_joined() -> None:
    body = sample("flowed").email.body
    assert body == "This paragraph goes over two lines.<br>&gt; So does this quote.<br>-- <br>Amina"


def test_message_cut_off_keeps_what_came() -> None:
    parsed = sample("no-closing-boundary")
    assert parsed.email.body == "The rest never came."
    assert parsed.email.attachments[0].content == bytes(range(16))


def test_bad_base64_is_decoded_as_far_as_it_goes() -> None:
    assert sample("bad-base64").email.attachments[0].content == b"hello world!"


def test_charset_of_a_meta_tag_counts_when_no_other_is_named() -> None:
    assert sample("html-only").email.body == '<p>déjà <a rel="noopener noreferrer nofollow">vu</a></p>'


def test_mbox_line_does_not_end_the_headers() -> None:
    email = sample("stray-from-line").email
    assert (email.subject, email.body) == ("After the stray line", "Still a letter.")


def test_groups_commas_comments_and_routes_are_read() -> None:
    assert sample("address-field").email.cc == (
        Contact("a@example.org"),
        Contact("john@example.org", "Doe, John"),
        Contact("b@example.org", "Bob"),
        Contact("c@example.org"),
    )


@pytest.mark.parametrize("raw", [b"", b"\r\n", b"x", b":", b"\x00" * 100, b"From:\r\n\r\n", b"\xff\xfe" * 50])
def test_hardly_a_message_is_a_letter_all_the_same(raw: bytes) -> None:
    assert parse_email(raw).email.sender.address == ""


def test_bare_line_feeds_end_lines() -> None:
    assert sample("line-ends").email.body == "One<br>Two"


def test_letter_without_headers_is_a_letter() -> None:
    parsed = sample("no-sender-no-date")
    assert parsed.email.sender == Contact("")
    assert parsed.email.sent_at is None
    assert not parsed.email.sent_at_doubtful
    assert "no-sender" in parsed.problems


NOW = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("date", "sent_at", "doubtful"),
    [
        ("Tue, 24 Feb 2026 10:00:00 +0200", datetime(2026, 2, 24, 8, tzinfo=UTC), False),
        ("2 Mar 26 10:00 GMT", datetime(2026, 3, 2, 10, tzinfo=UTC), False),
        ("Fri, 31 Dec 9999 23:59:59 -1200", None, True),
        ("Tue, 24 Feb 2099 10:00:00 +0000", NOW, True),
        ("Thu, 01 Jan 1970 00:00:07 +0000", None, True),
        ("Tue, 99 Feb 2026 10:00:00 +0200", None, True),
        ("yesterday", None, True),
        ("", None, False),
    ],
)
def test_date_is_kept_unless_absurd(date: str, sent_at: datetime | None, doubtful: bool) -> None:
    email = parse_email(f"Date: {date}\r\n\r\nx".encode(), received_at=NOW).email
    assert (email.sent_at, email.sent_at_doubtful) == (sent_at, doubtful)


def test_date_far_ahead_is_kept_while_nobody_knows_when_it_came() -> None:
    raw = f"Date: {(NOW + timedelta(days=3)).strftime('%a, %d %b %Y %H:%M:%S +0000')}\r\n\r\nx".encode()
    assert parse_email(raw).email.sent_at == NOW + timedelta(days=3)
    assert parse_email(raw, received_at=NOW).email.sent_at == NOW


def test_thread_headers_are_read() -> None:
    raw = (
        b"Message-ID: <c@x>\r\nIn-Reply-To: Your letter of Monday <b@x>\r\n"
        b"References: <a@x>\r\n <b@x>\r\nReply-To: Other <o@x.org>\r\n\r\nx"
    )
    email = parse_email(raw).email
    assert (email.message_id, email.in_reply_to, email.references) == ("<c@x>", "<b@x>", ("<a@x>", "<b@x>"))
    assert email.reply_to == (Contact("o@x.org", "Other"),)


def test_empty_markup_gives_way_to_the_plain_wording() -> None:
    raw = (
        b"Content-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\n\r\nThe words.\r\n"
        b"--b\r\nContent-Type: text/html\r\n\r\n<html><body><div>&nbsp;</div></body></html>\r\n--b--\r\n"
    )
    assert parse_email(raw).email.body == "The words."


def test_named_text_alone_is_the_body_unless_called_an_attachment() -> None:
    head = b"Content-Type: text/plain; name=letter.txt\r\n"
    assert parse_email(head + b"\r\nHello").email.body == "Hello"
    parsed = parse_email(head + b"Content-Disposition: attachment\r\n\r\nHello")
    assert (parsed.email.body, names(parsed)) == ("", ["letter.txt"])


def test_texts_around_a_file_are_all_shown() -> None:
    raw = (
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nBefore\r\n--b\r\nContent-Type: image/gif\r\n\r\nGIF\r\n"
        b"--b\r\nContent-Type: text/html\r\n\r\n<i>After</i>\r\n--b--\r\n"
    )
    parsed = parse_email(raw)
    assert parsed.email.body == "Before<hr><i>After</i>"
    assert names(parsed) == ["image-1.gif"]


def test_long_body_is_cut_and_kept_whole_as_a_file() -> None:
    parsed = parse_email(b"\r\n" + b"word " * 1000, limits=MimeLimits(max_body_chars=100))
    assert len(parsed.email.body) <= 100
    assert [len(file.content) for file in parsed.email.attachments] == [5000]
    assert set(parsed.problems) == {"no-sender", "long-body"}


def test_too_big_a_message_is_refused() -> None:
    with pytest.raises(Refused) as refusal:
        parse_email(b"x" * 101, limits=MimeLimits(max_bytes=100))
    assert refusal.value.code == "too-big"


def test_picture_written_into_the_markup_becomes_a_file() -> None:
    raw = b'Content-Type: text/html\r\n\r\n<p>See <img alt=dot src="data:image/png;base64,iVBO\r\nRw0KGgo="></p>'
    email = parse_email(raw).email
    [picture] = email.attachments
    assert (picture.filename, picture.type, picture.content) == ("image-1.png", "image/png", b"\x89PNG\r\n\x1a\n")
    assert email.body == f'<p>See <img alt="dot" src="cid:{picture.cid}"></p>'


def test_text_beside_the_root_of_related_parts_is_a_file() -> None:
    raw = (
        b"Content-Type: multipart/related; boundary=b\r\n\r\n--b\r\nContent-Type: text/html\r\n\r\n<p>Root</p>\r\n"
        b"--b\r\n\r\nBeside it.\r\n--b--\r\n"
    )
    parsed = parse_email(raw)
    assert parsed.email.body == "<p>Root</p>"
    assert [(file.filename, file.content) for file in parsed.email.attachments] == [("file-1.txt", b"Beside it.")]
