from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lokole.mail.errors import BadPackage
from lokole.sync import jsontext
from lokole.sync.limits import SERVER
from lokole.sync.records import BadRecord
from lokole.testing import shared_dir
from tests.unit.sync.archives import archive, letter, read_all, uids

OURS_GOOD = [
    b'{"a":[1,-0,1.5e3,true,false,null,"\\u00e9\\n\\/"]}',
    b' {"a" : {} }\r',
    b'{"a":1,"a":2}',
    '{"é":"\u2028"}'.encode(),
]
OURS_BAD = [
    b"",
    b" ",
    b"{",
    b"{}{}",
    b"{'a':1}",
    b'{"a":1,}',
    b'{"a":NaN}',
    b'{"a":Infinity}',
    b'{"a":-Infinity}',
    b'{"a":01}',
    b'{"a":.5}',
    b'{"a":+1}',
    b'{"a":0x1}',
    b'{"a":"\t"}',
    b'{"a":"\\x41"}',
    b'{"a":"\xff"}',
    b"\xef\xbb\xbf{}",
    b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    b'{"a":' * 50_000,
    '{"a":1}'.encode("utf-16"),
]


def parsed(text: bytes) -> str:
    """What became of a text: ``object``, ``other`` (JSON, but no object) or ``bad``."""
    try:
        jsontext.read_line(text, limits=SERVER)
    except BadPackage as error:
        return "other" if str(error) == "the line is JSON, but not an object" else "bad"
    return "object"


@pytest.mark.parametrize("text", OURS_GOOD)
def test_json_is_read(text: bytes) -> None:
    assert parsed(text) == "object"


@pytest.mark.parametrize("text", OURS_BAD, ids=lambda text: repr(text[:12]))
def test_what_is_not_json_is_not_read(text: bytes) -> None:
    assert parsed(text) == "bad"


def suite(letter: str) -> list[Path]:
    shared = shared_dir()
    if shared is None:
        return []
    return sorted((shared / "testdata" / "json" / "JSONTestSuite").glob(f"{letter}_*.json"))


no_suite = pytest.mark.skipif(not suite("y"), reason="JSONTestSuite is not here; our own samples above are tested")


@no_suite
@pytest.mark.parametrize("path", suite("y"), ids=lambda path: path.name)
def test_every_good_text_of_the_suite_is_json(path: Path) -> None:
    assert parsed(path.read_bytes()) in ("object", "other")
    # As a value inside a letter that knows nothing of it, and in its line, wherever it has no line ends of its own.
    line = letter("in").rstrip()[:-1] + b',"extra":' + path.read_bytes().replace(b"\n", b" ") + b"}\n"
    assert uids(read_all(archive(("emails.jsonl", letter("1") + line + letter("2"))))[0]) == ["1", "in", "2"]


@no_suite
@pytest.mark.parametrize("path", suite("n"), ids=lambda path: path.name)
def test_no_bad_text_of_the_suite_is_json(path: Path) -> None:
    data = path.read_bytes()
    assert parsed(data) == "bad"
    records, error = read_all(archive(("emails.jsonl", letter("1") + data.replace(b"\n", b" ") + b"\n" + letter("2"))))
    assert error is None
    assert uids(records) == (["1", "bad", "2"] if data else ["1", "2"])


@no_suite
@pytest.mark.parametrize("path", suite("i"), ids=lambda path: path.name)
def test_every_doubtful_text_of_the_suite_is_one_record_beside_its_neighbours(path: Path) -> None:
    data = path.read_bytes().replace(b"\n", b" ")
    records, error = read_all(archive(("emails.jsonl", letter("1") + data + b"\n" + letter("2"))))
    assert error is None
    assert uids(records)[0] == "1"
    assert uids(records)[-1] == "2"
    assert len(records) == 3


def test_a_reason_holds_nothing_of_the_content() -> None:
    for text in OURS_BAD:
        try:
            jsontext.read_line(text + b"secret", limits=SERVER)
        except BadPackage as error:
            assert "secret" not in str(error)
            assert error.__cause__ is None or "secret" not in str(error.__cause__)


def test_of_equal_keys_the_last_counts() -> None:
    assert jsontext.read_object('{"a":1,"a":2}') == {"a": 2}


def test_numbers_of_any_length_are_read_at_once() -> None:
    digits = "9" * 1_000_000
    assert jsontext.read_object(f'{{"a":{digits},"b":-{digits},"c":1e{digits},"d":0.{digits},"e":12}}') == {
        "a": float("inf"),
        "b": float("-inf"),
        "c": float("inf"),
        "d": 1.0,
        "e": 12,
    }


@pytest.mark.parametrize("many", [b"[],", b"{},", b"1,", b'"",', b'"\\"",'])
def test_a_line_of_countless_values_is_refused_before_it_is_unfolded(many: bytes) -> None:
    line = b'{"_uid":"1","x":[' + many * 200_000 + b"1]}"
    (record,), _error = read_all(archive(("emails.jsonl", line)))
    assert isinstance(record, BadRecord)
    assert record.reason == "the line holds too many values"
    assert record.raw == line


def test_commas_and_brackets_inside_of_a_letter_are_not_values() -> None:
    line = letter("1", body='[{,"\\' * 100_000)
    assert uids(read_all(archive(("emails.jsonl", line)))[0]) == ["1"]
    limits = replace(SERVER, max_line_values=3)
    assert uids(read_all(archive(("emails.jsonl", line)), limits)[0]) == ["bad"]
