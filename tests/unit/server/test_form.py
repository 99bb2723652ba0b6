"""Forms as SendGrid posts them, and as somebody posts who wishes us ill."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import random
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import pytest

from lokole.mail.errors import Refused
from lokole.server.form import HEAD_BYTES, InboundForm, read_form

MULTIPART = "multipart/form-data; boundary=xyz"
URLENCODED = "application/x-www-form-urlencoded"


def multipart(*parts: tuple[str, bytes], end: bytes = b"--xyz--\r\n") -> bytes:
    pieces = [
        b"--xyz\r\nContent-Disposition: form-data; " + head.encode() + b"\r\n\r\n" + body + b"\r\n"
        for head, body in parts
    ]
    return b"".join(pieces) + end


@dataclass(frozen=True)
class Read:
    form: InboundForm
    email: bytes

    def __getattr__(self, name: str) -> Any:
        return getattr(self.form, name)


def read(body: bytes, content_type: str = MULTIPART, most: int = 1000_000) -> Read:
    message = io.BytesIO()
    form = read_form(io.BytesIO(body), content_type, message, max_bytes=most)
    raw = message.getvalue()
    assert hashlib.sha256(raw).hexdigest() == form.sha256
    assert (form.size, form.head) == (len(raw), raw[:HEAD_BYTES])
    return Read(form, raw)


def refusal(body: bytes, content_type: str = MULTIPART, most: int = 1000) -> str:
    with pytest.raises(Refused) as caught:
        read_form(io.BytesIO(body), content_type, io.BytesIO(), max_bytes=most)
    return caught.value.code


def test_the_bytes_of_the_message_are_taken_as_they_are() -> None:
    raw = bytes(range(256)) + b"\r\n--xy\r\n--xyz not the end\r\n"
    raw = raw.replace(b"\r\n--xyz", b"\r\n-xyz")
    found = read(multipart(('name="email"', raw), ('name="envelope"', b'{"to":["a@b.c"],"from":"d@e.f"}')))
    assert found.email == raw
    assert found.recipients == ("a@b.c",)
    assert found.sender == "d@e.f"


def test_a_message_larger_than_a_megabyte_is_read() -> None:
    raw = os.urandom(3_000_000)
    assert read(multipart(('name="email"', raw)), most=4_000_000).email == raw


@pytest.mark.parametrize("seed", range(5))
def test_an_urlencoded_message_is_read_wherever_the_pieces_end(seed: int) -> None:
    chance = random.Random(seed)
    raw = bytes(chance.choices(b"abc %&=+\r\n\xe9;", k=200_000))
    body = urlencode({"other": "x" * chance.randrange(3), "email": raw, "envelope": '{"to":"a@b.c"}'}).encode()
    found = read(body, URLENCODED)
    assert found.email == raw
    assert found.recipients == ("a@b.c",)


def test_a_file_is_the_message_as_a_field_is() -> None:
    assert read(multipart(('name="email"; filename="x.eml"', b"raw"))).email == b"raw"


def test_nothing_in_place_of_the_message_is_refused() -> None:
    assert refusal(multipart(('name="other"', b"raw"))) == "missing"
    assert refusal(b"other=1", URLENCODED) == "missing"
    assert refusal(b"", URLENCODED) == "missing"


def test_what_is_cut_off_or_no_form_is_refused() -> None:
    whole = multipart(('name="email"', b"raw message"))
    assert refusal(whole[:-20]) == "form"
    assert refusal(b"") == "form"
    assert refusal(b"garbage") == "form"
    assert refusal(whole, "multipart/form-data") == "form"
    assert refusal(whole, "application/json") == "media-type"


def test_of_what_is_too_large_the_beginning_is_kept_and_the_rest_is_read_past() -> None:
    envelope = b'{"to":["a@b.c"],"from":"d@e.f"}'
    large = b"Subject: x\r\n\r\n" + b"A" * 300_000
    for body, content_type in (
        (multipart(('name="email"', large), ('name="envelope"', envelope)), MULTIPART),
        (urlencode({"email": large, "envelope": envelope}).encode(), URLENCODED),
    ):
        message = io.BytesIO()
        form = read_form(io.BytesIO(body), content_type, message, max_bytes=1000)
        assert (form.is_too_large, form.size, form.head) == (True, len(large), large[:HEAD_BYTES])
        assert (form.sha256, form.recipients) == (hashlib.sha256(large).hexdigest(), ("a@b.c",))
        assert len(message.getvalue()) <= 1000
        assert not read_form(io.BytesIO(body), content_type, io.BytesIO(), max_bytes=len(large)).is_too_large


def test_too_many_fields_are_refused() -> None:
    assert refusal(multipart(*((f'name="f{n}"', b"") for n in range(1001)))) == "form"


@pytest.mark.parametrize("envelope", [b"", b"{", b"[]", b'{"to": 7}', b'{"to": ["a", 7]}', b"\xff", b"[" * 100_000])
def test_an_envelope_that_cannot_be_read_is_none(envelope: bytes) -> None:
    assert read(multipart(('name="email"', b"raw"), ('name="envelope"', envelope))).recipients is None


def test_damaged_forms_are_refused_and_nothing_else() -> None:
    whole = multipart(
        ('name="email"', b"raw message"), ('name="envelope"', b'{"to":["a@b.c"]}'), ('name="x"; filename="y"', b"z")
    )
    chance = random.Random(4)
    for _ in range(500):
        damaged = bytearray(whole)
        for _ in range(chance.randrange(1, 6)):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        with contextlib.suppress(Refused):
            read_form(io.BytesIO(bytes(damaged)), MULTIPART, io.BytesIO(), max_bytes=1000)
