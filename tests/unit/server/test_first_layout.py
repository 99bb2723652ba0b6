"""How objects of the first Lokole's server are read: a value, or BadPackage, whatever the bytes are."""

from __future__ import annotations

import gzip
from contextlib import suppress

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lokole.mail.errors import BadPackage
from lokole.server.move import layout


def test_an_object_is_msgpack_and_a_line_end() -> None:
    value = {"a": "é", "b": b"\x00\n", "c": [1, None]}
    for end in (b"", b"\n"):
        assert layout.read_object(gzip.compress(msgpack.packb(value) + end)) == value
    assert layout.read_object(gzip.compress(msgpack.packb({"n": 10}))) == {"n": 10}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x1f\x8b",
        b"plain",
        gzip.compress(b""),
        gzip.compress(b"\x81\xa1"),
        gzip.compress(b"\xc1"),
        gzip.compress(b"\x91" * 100_000),
        gzip.compress(msgpack.packb([1]) + b"\n"),
        gzip.compress(msgpack.packb({"a": 1}) + b"xx"),
        gzip.compress(b"\xdf\xff\xff\xff\xff"),
        gzip.compress(msgpack.packb({"a": 1}))[:-4],
    ],
    ids=range(11),  # gzip writes the time into what it makes, and a test's name must stay the same
)
def test_what_is_no_object_is_bad(content: bytes) -> None:
    with pytest.raises(BadPackage):
        layout.read_object(content)


@given(st.binary(max_size=300))
def test_any_bytes_give_an_object_or_are_bad(content: bytes) -> None:
    for made in (content, gzip.compress(content)):
        with suppress(BadPackage):
            layout.read_object(made)


def test_a_bomb_is_not_expanded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layout, "MAX_EXPANDED", 1000)
    with pytest.raises(BadPackage, match="too large"):
        layout.expand(gzip.compress(bytes(100_000)))


def test_a_name_in_a_mailbox_says_whose_and_when() -> None:
    entry = layout.read_index("a.test/o'hara+x@a.test/sent/0332441400/u-1.txt.gz")
    assert (entry.address, entry.folder, entry.uid) == ("o'hara+x@a.test", "sent", "u-1")
    assert entry.at is not None and entry.at.year == 2026
    older = layout.read_index("ann@a.test/received/2019-01-02 03:04/u-2.msgpack.gz")
    assert older.at is not None and older.at.isoformat() == "2019-01-02T03:04:00+00:00"
    for name in ("", "a/b", "a.test/ann@a.test/other/1/u.txt.gz", "a.test/ann@a.test/sent/1/u"):
        with pytest.raises(BadPackage):
            layout.read_index(name)
