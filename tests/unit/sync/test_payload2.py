from __future__ import annotations

import gzip
import io
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from lokole.mail.errors import BadPackage, Refused
from lokole.mail.model import Attachment, Contact, DeliveryState, Email
from lokole.sync import jsontext
from lokole.sync.container import Header, PayloadKind
from lokole.sync.limits import BOX, SERVER, Limits
from lokole.sync.package import write_package
from lokole.sync.payload2 import Kind, payload_chunks, read_numbered, read_payload, what_does_not_fit, write_payload
from lokole.sync.records import (
    AccountRecord,
    AckRecord,
    AnyRecord,
    AttachmentRecord,
    BadRecord,
    DigestRecord,
    EmailRecord,
    EntryState,
    FlagRecord,
    HealthRecord,
    PackageDigest,
    ReceiptRecord,
    RequestRecord,
    ToldRecord,
    UnknownRecord,
    Window,
)
from lokole.sync.sealed import KeyFile, read_key_file, read_sealed, sealed_record_lines, write_sealed
from lokole.sync.varint import read_varint, varint
from tests.unit.sync.sealed_samples import (
    BOX as BOX_SEED,
)
from tests.unit.sync.sealed_samples import (
    BOX_PUBLIC,
    EMAIL,
    HEADER,
    ID,
    LETTER,
    RANDOM,
    RECORDS,
    SERVER_PUBLIC,
    sealed,
)
from tests.unit.sync.sealed_samples import (
    SERVER as SERVER_SEED,
)

PROTOCOL = (Path(__file__).parents[3] / "docs" / "protocol.md").read_text(encoding="utf-8")


def frame(kind: int, body: bytes | Mapping[str, object]) -> bytes:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return varint(kind) + varint(len(data)) + data


def read(frames: bytes, limits: Limits = SERVER) -> list[AnyRecord]:
    return list(read_payload(io.BytesIO(gzip.compress(frames, 1)), PayloadKind.GZ, limits=limits))


def read_until_bad(frames: bytes, limits: Limits = SERVER) -> tuple[list[AnyRecord], str]:
    records: list[AnyRecord] = []
    with pytest.raises(BadPackage) as error:
        records.extend(read_payload(io.BytesIO(gzip.compress(frames, 1)), PayloadKind.GZ, limits=limits))
    # extend() keeps what came before the error
    return records, str(error.value)


GOOD = frame(3, {"email": "a@b.c"})
ACCOUNT = AccountRecord("a@b.c")


# --- as written ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [PayloadKind.GZ, PayloadKind.ZSTD])
def test_every_kind_of_record_comes_back(kind: PayloadKind) -> None:
    out = io.BytesIO()
    assert write_payload(out, RECORDS, kind=kind) == 2
    assert list(read_payload(io.BytesIO(out.getvalue()), kind, limits=BOX)) == RECORDS
    again = io.BytesIO()
    write_payload(again, RECORDS, kind=kind)
    assert again.getvalue() == out.getvalue()


def test_no_records_are_a_payload_too() -> None:
    out = io.BytesIO()
    assert write_payload(out, []) == 0
    assert list(read_payload(io.BytesIO(out.getvalue()), PayloadKind.ZSTD)) == []


def test_the_kinds_are_those_of_the_table() -> None:
    table = PROTOCOL[PROTOCOL.index("### 7.2") : PROTOCOL.index("### 7.3")]
    for kind in Kind:
        assert f"| {int(kind)} | {kind.name.lower()} |" in table
    assert table.count("\n| ") == len(Kind) + 2


def test_a_receipt_on_the_wire_is_what_the_protocol_says() -> None:
    body = {
        "email": ID.hex(),
        "address": "b@c.d",
        "state": "refused",
        "version": 3,
        "code": "5.1.1",
        "at": "2026-01-02 03:04:05",
    }
    assert read(frame(4, body)) == [
        ReceiptRecord(ID, "b@c.d", DeliveryState.REFUSED, 3, "5.1.1", "", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))
    ]


@pytest.mark.parametrize(
    ("kind", "body", "record"),
    [
        (
            4,
            {"email": ID.hex(), "address": "x", "state": "accepted"},
            ReceiptRecord(ID, "x", DeliveryState.ACCEPTED, 0),
        ),
        (5, {"email": ID.hex(), "account": "a", "flag": "starred"}, FlagRecord(ID, "a", "starred", False, 0, "")),
        (5, {"email": ID.hex(), "account": "a", "flag": "folder"}, FlagRecord(ID, "a", "folder", "", 0, "")),
        (6, {"kind": "rest"}, RequestRecord("rest", "", {})),
        (7, {}, HealthRecord({})),
        (8, {"epoch": 3, "beyond": None}, AckRecord(3, 0)),
        (9, {"hash": "A" * 22}, DigestRecord((), 0, bytes(16))),
        (
            9,
            {"hash": "A" * 22, "packages": [["up", 1, 2, 3, "00" * 16]]},
            DigestRecord((), 0, bytes(16), (PackageDigest("up", 1, 2, 3, bytes(16)),)),
        ),
        (10, {"package": "0" * 64}, ToldRecord("0" * 64, 0)),
        (1, {"_uid": "x"}, EmailRecord("x", Email(Contact("")))),
        (1, {"_uid": "x", "entries": [{"account": "a"}]}, EmailRecord("x", Email(Contact("")), (), (EntryState("a"),))),
    ],
)
def test_what_is_absent_is_empty(kind: int, body: dict[str, object], record: AnyRecord) -> None:
    assert read(frame(kind, body)) == [record]


def test_unknown_keys_of_known_records_are_ignored() -> None:
    later = {"later": [1, {"x": None}], "kindness": "all"}
    out = b"".join(payload_chunks(RECORDS, kind=PayloadKind.GZ))
    plain, at, changed = gzip.decompress(out), 0, b""
    stream = io.BytesIO(plain)
    while (kind := read_varint(stream)) is not None:
        size = read_varint(stream)
        assert size is not None
        body = stream.read(size)
        # health is all keys of its own, so that there nothing is unknown
        if kind in Kind.__members__.values() and kind not in (Kind.FILE, Kind.HEALTH):
            body = json.dumps(json.loads(body) | later).encode()
            at += 1
        changed += frame(kind, body)
    assert at > 9
    assert read(changed) == RECORDS


def test_a_kind_of_a_later_version_is_kept_and_stepped_over() -> None:
    for kind in (12, 127, 128, 2**63 - 1):
        assert read(frame(kind, b"\0later") + GOOD) == [UnknownRecord(kind, b"\0later"), ACCOUNT]


def test_a_kind_that_is_known_cannot_be_written_as_unknown() -> None:
    for kind in (0, 1, 11):
        with pytest.raises(ValueError, match="known"):
            write_payload(io.BytesIO(), [UnknownRecord(kind, b"")])


def test_what_could_not_be_read_is_not_written() -> None:
    with pytest.raises(ValueError, match="cannot be written"):
        write_payload(io.BytesIO(), [BadRecord("letter", 1, "why", b"")])


@pytest.mark.parametrize(
    "record",
    [
        HealthRecord({"x": "y" * 300}),
        AckRecord(1, 1, tuple(range(1001))),
        DigestRecord(tuple(Window("up", n, 1, 1) for n in range(9)), 0, bytes(16)),
    ],
)
def test_a_record_that_says_too_much_is_not_written(record: AnyRecord) -> None:
    with pytest.raises(ValueError, match="at most"):
        write_payload(io.BytesIO(), [record])


def test_times_are_utc_to_the_second() -> None:
    east = timezone(timedelta(hours=5, minutes=30))
    moment = datetime(2026, 1, 2, 1, 4, 5, 999999, tzinfo=east)
    (record,) = read(
        gzip.decompress(
            b"".join(payload_chunks([EmailRecord("x", Email(Contact("a"), sent_at=moment))], kind=PayloadKind.GZ))
        )
    )
    assert isinstance(record, EmailRecord)
    assert record.email.sent_at == datetime(2026, 1, 1, 19, 34, 5, tzinfo=UTC)


# --- letters and their files ---------------------------------------------------------------------


def test_a_letter_whose_files_are_missing_arrives_and_says_so() -> None:
    letter = frame(1, {"_uid": "x", "attachments": [{"filename": "a"}, {"filename": "b"}, {"filename": "c"}]})
    found, bad, last = read(letter + frame(2, b"A") + GOOD)
    assert isinstance(found, EmailRecord)
    assert found.email.attachments == (Attachment("a", b"A"),)
    assert found.notes == ("attachment-unreadable:2", "attachment-unreadable:3")
    assert bad == BadRecord("file", 1, "the last 2 of its files are missing", b"")
    assert last == ACCOUNT
    assert len(read(letter)) == 2


def test_a_file_without_a_letter_is_set_apart() -> None:
    letter = frame(1, {"_uid": "x", "attachments": [{}]})
    assert read(frame(2, b"A") + letter + frame(2, b"B") + frame(2, b"C") + GOOD) == [
        BadRecord("file", 1, "it belongs to no letter that can be read", b"A"),
        EmailRecord("x", Email(Contact(""), attachments=(Attachment("attachment-1", b"B"),))),
        BadRecord("file", 4, "it belongs to no letter that can be read", b"C"),
        ACCOUNT,
    ]


def test_a_bad_letter_takes_its_files_with_it_and_nothing_else() -> None:
    found = read(frame(1, {"_uid": "x", "subject": 5, "attachments": [{}]}) + frame(2, b"A") + GOOD)
    assert [(record.member, record.line) for record in found[:-1] if isinstance(record, BadRecord)] == [
        ("letter", 1),
        ("file", 2),
    ]
    assert found[-1] == ACCOUNT


def test_a_file_that_is_too_long_costs_itself_only() -> None:
    limits = replace(BOX, max_line_bytes=100, max_kept_of_long_line=10)
    letter = frame(1, {"_uid": "x", "attachments": [{}, {}, {}]})
    found, bad, last = read(letter + frame(2, b"A" * 40) + frame(2, b"B" * 101) + frame(2, b"C" * 60) + GOOD, limits)
    assert isinstance(found, EmailRecord)
    assert [one.content for one in found.email.attachments] == [b"A" * 40, b"C" * 60]
    assert found.notes == ("attachment-unreadable:2",)
    assert bad == BadRecord("file", 3, "attachment 2: it is too long", b"B" * 10)
    assert last == ACCOUNT


def test_the_files_of_a_letter_count_together() -> None:
    limits = replace(BOX, max_line_bytes=100, max_kept_of_long_line=10)
    letter = frame(1, {"_uid": "x", "attachments": [{}, {}, {}]})
    found = read(letter + frame(2, b"A" * 60) + frame(2, b"B" * 60) + frame(2, b"C" * 40), limits)[0]
    assert isinstance(found, EmailRecord)
    assert [one.content for one in found.email.attachments] == [b"A" * 60, b"C" * 40]


def test_each_record_has_the_number_of_its_frame() -> None:
    letter = frame(1, {"_uid": "x", "attachments": [{}, {}]})
    frames = (
        GOOD
        + letter
        + frame(2, b"A")
        + frame(2, b"B")
        + letter
        + frame(2, b"C")
        + GOOD
        + frame(2, b"D")
        + frame(99, b"")
    )
    data = io.BytesIO(gzip.compress(frames, 1))
    found = [(number, type(record).__name__) for number, record in read_numbered(data, PayloadKind.GZ)]
    assert found == [
        (1, "AccountRecord"),
        (2, "EmailRecord"),
        (5, "EmailRecord"),
        (5, "BadRecord"),  # its second file never came
        (7, "AccountRecord"),
        (8, "BadRecord"),
        (9, "UnknownRecord"),
    ]


def test_a_file_apart_needs_its_content() -> None:
    apart = frame(11, {"_uid": "u", "filename": "f", "emails": ["x"]})
    assert read(apart + frame(2, b"A") + GOOD) == [AttachmentRecord("u", Attachment("f", b"A"), ("x",)), ACCOUNT]
    assert read(apart + GOOD) == [BadRecord("file", 1, "the last 1 of its files are missing", b""), ACCOUNT]


def test_a_writer_knows_what_a_reader_refuses() -> None:
    assert what_does_not_fit(LETTER, limits=BOX) is None
    limits = replace(BOX, max_line_bytes=100, max_text_bytes=2000)
    assert what_does_not_fit(EmailRecord("x", replace(EMAIL, body="x" * 2000)), limits=limits) == "text"
    heavy = replace(EMAIL, attachments=(Attachment("a", bytes(60)), Attachment("b", bytes(41))))
    assert what_does_not_fit(EmailRecord("x", heavy), limits=limits) == "attachments"
    light = replace(EMAIL, attachments=(Attachment("a", bytes(60)), Attachment("b", bytes(40))))
    record = EmailRecord("x", light)
    assert what_does_not_fit(record, limits=limits) is None
    assert read(gzip.decompress(b"".join(payload_chunks([record], kind=PayloadKind.GZ))), limits) == [record]


# --- bad records beside good neighbours ----------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "body", "reason"),
    [
        (1, {}, "the object has no key of a letter"),
        (1, {"subject": "x"}, "the letter has no _uid"),
        (1, {"_uid": "x", "to": 5}, "to is not a list of texts"),
        (1, {"_uid": "x", "attachments": ["x"]}, "attachments holds something that is no object"),
        (1, {"_uid": "x", "attachments": [{}] * 1001}, "the letter has too many files or entries"),
        (1, {"_uid": "x", "entries": [{}]}, "account is missing"),
        (1, {"_uid": "x", "entries": [5]}, "entries holds something that is no object"),
        (1, {"_uid": "x", "entries": {"a": 1}}, "entries is not a list"),
        (1, {"_uid": "x", "sent_at_doubtful": "yes"}, "sent_at_doubtful is neither true nor false"),
        (1, {"_uid": "x", "automatic": "yes"}, "automatic is neither true nor false"),
        (3, {"email": ""}, "the account has no email"),
        (3, {"email": "a", "version": 2**63}, "version is not a counter"),
        (4, {"address": "x", "state": "accepted"}, "email is missing"),
        (4, {"email": "AB" * 16, "address": "x", "state": "accepted"}, "email is not the id of a letter"),
        (4, {"email": ID.hex(), "address": "x", "state": "eaten"}, "state is not known"),
        (
            4,
            {"email": ID.hex(), "address": "x", "state": "accepted", "version": -1},
            "version is not a number in its range",
        ),
        (
            4,
            {"email": ID.hex(), "address": "x", "state": "accepted", "version": True},
            "version is not a number in its range",
        ),
        (5, {"email": ID.hex(), "account": "a", "flag": "eaten"}, "flag is not known"),
        (5, {"email": ID.hex(), "account": "a", "flag": "read", "value": 1}, "value is neither true nor false"),
        (5, {"email": ID.hex(), "account": "a", "flag": "folder", "value": True}, "value is not text"),
        (
            5,
            {"email": ID.hex(), "account": "a", "flag": "read", "lamport": 2**62},
            "lamport is not a number in its range",
        ),
        (6, {"key": "x"}, "kind is missing"),
        (6, {"kind": "x", "body": []}, "body is not an object"),
        (7, {"x": "y" * 300}, "health is longer than it may be"),
        (8, {"seq": 1}, "epoch is not a number in its range"),
        (8, {"epoch": 1, "beyond": [1.5]}, "beyond is not a number in its range"),
        (8, {"epoch": 1, "beyond": [1] * 1001}, "beyond names too many"),
        (8, {"epoch": 1, "check": "AB" * 8}, "check is not 16 hexadecimal digits"),
        (
            9,
            {"hash": "A" * 22, "packages": [["up", 1, 1, 1, "0" * 32, "0"]]},
            "packages holds something that is no digest",
        ),
        (9, {"hash": "AAAA"}, "hash is not 16 bytes"),
        (9, {}, "hash is not base64url"),
        (9, {"hash": "!" * 22}, "hash is not base64url"),
        (9, {"hash": "A" * 22, "windows": [["up", 1, 0, 1]]}, "windows holds something that is no window"),
        (9, {"hash": "A" * 22, "windows": [["in", 1, 1, 1]]}, "a direction is neither up nor down"),
        (9, {"hash": "A" * 22, "windows": [["up", 1, 1, 1]] * 9}, "the digest is of too many packages"),
        (
            9,
            {"hash": "A" * 22, "packages": [["up", 1, 1, 2**32, "0" * 32]]},
            "packages holds something that is no digest",
        ),
        (9, {"hash": "A" * 22, "packages": [["up", 1, 1, 1, "0"]]}, "packages holds something that is no digest"),
        (10, {"package": "x"}, "package is not a digest"),
        (10, {"package": "0" * 64, "record": "1"}, "record is not a number in its range"),
        (11, {"filename": "x"}, "the file has no _uid"),
    ],
)
def test_a_bad_record_stands_apart_beside_good_neighbours(kind: int, body: dict[str, object], reason: str) -> None:
    bad = json.dumps(body).encode()
    assert read(GOOD + frame(kind, bad) + GOOD) == [
        ACCOUNT,
        BadRecord(Kind(kind).name.lower(), 2, reason, bad),
        ACCOUNT,
    ]


@pytest.mark.parametrize("kind", sorted(set(Kind) - {Kind.FILE}))
@pytest.mark.parametrize("body", [b"", b"x", b"[]", b"{", b"\xff\xfe", b'{"a":NaN}', b"[" * 5000, b'{"a":1e999}' * 2])
def test_what_is_no_json_object_is_a_bad_record_of_any_kind(kind: Kind, body: bytes) -> None:
    first, bad, last = read(GOOD + frame(kind, body) + GOOD)
    assert isinstance(bad, BadRecord)
    assert (bad.member, bad.line, bad.raw) == (kind.name.lower(), 2, body)
    assert first == last == ACCOUNT


@pytest.mark.parametrize("value", ["1e999", "-1e999", "9" * 400])
def test_a_number_that_is_none_does_not_get_into_a_body(value: str) -> None:
    (bad,) = read(frame(6, b'{"kind":"x","body":{"n":[%s]}}' % value.encode()))
    assert isinstance(bad, BadRecord)
    assert bad.reason == "it holds a number that is none"


def test_a_body_that_nests_too_deeply_is_a_bad_record() -> None:
    deep: object = 1
    for _ in range(30):
        deep = [deep]
    (bad,) = read(frame(6, {"kind": "x", "body": {"n": deep}}))
    assert isinstance(bad, BadRecord)


def test_texts_are_made_fit_for_every_store() -> None:
    (request,) = read(frame(6, b'{"kind":"x\\u0000","body":{"\\ud800":["\\u0000"]}}'))
    assert request == RequestRecord("x\ufffd", "", {"\ufffd": ["\ufffd"]})


def test_a_content_in_a_large_body_stays_what_it_is() -> None:
    # jsontext lifts long contents out of the lines of version 1; nothing here may turn into a number.
    body = {"kind": "x", "body": {"deep": {"content": "A" * 70_000}, "fill": "é" * 600_000}}
    (request,) = read(frame(6, body))
    assert request == RequestRecord("x", "", {"deep": {"content": "A" * 70_000}, "fill": "é" * 600_000})


def test_no_reason_holds_anything_of_the_content() -> None:
    secret = "the secret word"
    for kind in sorted(set(Kind) - {Kind.FILE}):
        for body in (
            {"_uid": [secret]},
            {"email": [secret], "kind": [secret], "package": secret, "hash": secret},
            {secret: secret},
        ):
            for record in read(frame(kind, body)):
                if isinstance(record, BadRecord):
                    assert "secret" not in record.reason


# --- bad packages --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "tail",
    [
        b"\0",
        b"\0\0\0\0",  # padding is no frame
        b"\x03",  # a kind without a length
        b"\x83",
        b"\x80\x00",  # a varint a byte too long
        b"\xff" * 12,
        varint(3) + varint(5) + b"1234",
        varint(2) + varint(5) + b"1234",
        varint(99) + varint(2**40) + b"x",
        varint(3) + varint(2**62) + b"x",
    ],
)
def test_frames_that_break_off_end_the_package_and_keep_what_was_good(tail: bytes) -> None:
    records, _reason = read_until_bad(GOOD + GOOD + tail)
    assert records == [ACCOUNT, ACCOUNT]


def test_a_letter_that_breaks_off_among_its_files_is_not_handed_out() -> None:
    # Handed out without its files and known by its name, it would never get them.
    letter = frame(1, {"_uid": "x", "attachments": [{}, {}]})
    records, _reason = read_until_bad(GOOD + letter + frame(2, b"A") + varint(2) + varint(9) + b"B")
    assert records == [ACCOUNT]


def test_limits_of_the_whole_end_the_package() -> None:
    assert read_until_bad(GOOD * 4, replace(BOX, max_records=3)) == ([ACCOUNT] * 3, "too many records in the package")
    assert read(GOOD * 3, replace(BOX, max_records=3)) == [ACCOUNT] * 3
    _records, reason = read_until_bad(GOOD * 100, replace(BOX, max_expanded_bytes=1000))
    assert reason == "the package expands beyond its limit"
    _records, reason = read_until_bad(frame(99, bytes(1_000_000)), replace(BOX, max_ratio=10, ratio_counts_from=1000))
    assert reason == "the package expands too much for its size"


@pytest.mark.parametrize(("kind", "name"), [(1, "letter"), (6, "request"), (99, "unknown")])
def test_a_frame_that_is_too_long_is_stepped_over(kind: int, name: str) -> None:
    limits = replace(BOX, max_line_bytes=1000, max_text_bytes=1000, max_kept_of_long_line=10)
    assert read(frame(kind, b"x" * 1001) + GOOD, limits) == [
        BadRecord(name, 1, "the frame is too long", b"x" * 10),
        ACCOUNT,
    ]


@pytest.mark.parametrize("kind", [0, 3, 255])
def test_a_payload_of_another_kind_is_named_as_such(kind: int) -> None:
    with pytest.raises(BadPackage) as error:
        read_payload(io.BytesIO(b""), kind)
    assert error.value.code == "unknown-payload"
    with pytest.raises(ValueError, match="frames"):
        list(payload_chunks([], kind=PayloadKind.VERSION1))


def test_a_payload_is_compressed_as_its_number_says() -> None:
    for kind, other in ((PayloadKind.GZ, PayloadKind.ZSTD), (PayloadKind.ZSTD, PayloadKind.GZ)):
        data = b"".join(payload_chunks(RECORDS, kind=kind))
        with pytest.raises(BadPackage):
            list(read_payload(io.BytesIO(data), other))
    with pytest.raises(BadPackage):
        list(read_payload(io.BytesIO(GOOD), PayloadKind.GZ))
    with pytest.raises(BadPackage):
        list(read_payload(io.BytesIO(b""), PayloadKind.ZSTD))


# --- sealed --------------------------------------------------------------------------------------


def sealed_records(records: list[AnyRecord], header: Header = HEADER) -> bytes:
    out = io.BytesIO()
    write_sealed(out, header, records, sender_seed=BOX_SEED, recipient_public=SERVER_PUBLIC, entropy=lambda _n: RANDOM)
    return out.getvalue()


def opened(data: bytes) -> list[AnyRecord]:
    found = read_sealed(io.BytesIO(data), recipient_seed=SERVER_SEED, sender_public=lambda _header: BOX_PUBLIC)
    return list(found.records)


def test_records_travel_sealed() -> None:
    for kind in (PayloadKind.GZ, PayloadKind.ZSTD):
        assert opened(sealed_records(RECORDS, replace(HEADER, payload=kind))) == RECORDS


def test_a_package_of_version_1_travels_sealed_too() -> None:
    archive = io.BytesIO()
    records = [AccountRecord("a@b.c", None, "fr", 3)]
    write_package(archive, records, own_box=True)
    assert opened(sealed(archive.getvalue(), replace(HEADER, payload=PayloadKind.VERSION1))) == records


@pytest.mark.parametrize(
    ("header", "word"),
    [(replace(HEADER, payload=77), "unknown-payload"), (replace(HEADER, prime=b"history!"), "unknown-prime")],
)
def test_what_a_taker_cannot_read_yet_has_a_word(header: Header, word: str) -> None:
    with pytest.raises(BadPackage) as error:
        opened(sealed(b"payload", header))
    assert error.value.code == word


def test_an_operator_sees_every_record_as_a_line() -> None:
    data = sealed_records([*RECORDS, RequestRecord("x", "y"), HealthRecord({"kind": "of health"})])
    lines = [json.loads(line) for line in sealed_record_lines(io.BytesIO(data), KeyFile(SERVER_SEED, BOX_PUBLIC))]
    assert lines[0] == {
        "kind": "package",
        "direction": "up",
        "tenant": "village.lokole.ca",
        "device": HEADER.device_id,
        "epoch": 7,
        "seq": 300,
        "payload": 1,
        "prime": "",
        "letters": 0,
        "verified": True,
    }
    assert [line["kind"] for line in lines[1:]] == [
        "email", "email", "attachment", "account", "receipt", "flag", "flag", "request", "health", "ack", "digest", "told",
        "unknown", "request", "health",
    ]  # fmt: skip
    assert lines[1]["attachments"][0] == {"filename": "a.txt", "type": "text/plain", "content": "aGVsbG8="}
    assert lines[1]["sent_at"] == "2026-01-02 03:04"
    assert lines[1]["entries"] == [{"account": "ann", "folder": "sent", "written": True}]
    assert lines[5]["state"] == "refused"
    assert lines[13] == {"kind": "unknown", "number": 99, "raw": "b2YgYSBsYXRlciB2ZXJzaW9u"}
    assert lines[8]["request"] == "rest"
    assert lines[15] == {"kind": "health", "body": {"kind": "of health"}}


def test_every_line_is_ascii_and_has_its_kind_in_front() -> None:
    for line in sealed_record_lines(io.BytesIO(sealed_records(RECORDS)), KeyFile(SERVER_SEED)):
        assert line.startswith(b'{"kind":"')
        assert line.endswith(b"}\n")
        assert line.isascii()


def test_looking_without_the_makers_key_says_that_nothing_was_verified() -> None:
    first = next(sealed_record_lines(io.BytesIO(sealed_records(RECORDS)), KeyFile(SERVER_SEED)))
    assert json.loads(first)["verified"] is False


def test_looking_with_another_makers_key_is_refused() -> None:
    with pytest.raises(BadPackage) as error:
        list(sealed_record_lines(io.BytesIO(sealed_records(RECORDS)), KeyFile(SERVER_SEED, SERVER_PUBLIC)))
    assert error.value.code == "forged"


HEX = bytes(range(32)).hex()
BASE64 = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"


@pytest.mark.parametrize(
    ("text", "key"),
    [
        (HEX, KeyFile(bytes(range(32)))),
        (BASE64 + "=\n", KeyFile(bytes(range(32)))),
        (f"# the server's\n\n{BASE64}\n  {HEX.upper()}\n", KeyFile(bytes(range(32)), bytes(range(32)))),
    ],
)
def test_a_key_file_is_one_line_or_two(text: str, key: KeyFile) -> None:
    assert read_key_file(text) == key


@pytest.mark.parametrize("text", ["", "# nothing", "short", HEX[:-1], f"{HEX}\n{HEX}\n{HEX}"])
def test_a_key_file_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(Refused) as error:
        read_key_file(text)
    assert error.value.code == "key"


# --- numbers -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "written"),
    [(0, "00"), (127, "7f"), (128, "8001"), (300, "ac02"), (2**63 - 1, "ffffffffffffffff7f")],
)
def test_numbers_take_as_few_bytes_as_they_need(number: int, written: str) -> None:
    assert varint(number).hex() == written
    assert read_varint(io.BytesIO(varint(number) + b"rest")) == number


@pytest.mark.parametrize("written", ["80", "8000", "ff00", "ffffffffffffffffff01", "ffffffffffffffffff"])
def test_a_number_that_is_written_otherwise_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match="number"):
        read_varint(io.BytesIO(bytes.fromhex(written)))


@pytest.mark.parametrize("number", [-1, 2**63])
def test_a_number_out_of_range_is_not_written(number: int) -> None:
    with pytest.raises(ValueError, match="range"):
        varint(number)


def test_the_end_is_no_number() -> None:
    assert read_varint(io.BytesIO()) is None


def test_a_package_of_letters_is_smaller_than_version_1() -> None:
    def letters(make: Callable[[int], bytes]) -> list[AnyRecord]:
        return [EmailRecord(f"{n:032x}", replace(EMAIL, attachments=(Attachment("p", make(n)),))) for n in range(20)]

    records = letters(lambda n: bytes((n * i) % 251 for i in range(5000)))
    old, new = io.BytesIO(), io.BytesIO()
    write_package(old, [record for record in records if isinstance(record, EmailRecord)], own_box=True)
    write_payload(new, records)
    assert len(new.getvalue()) < len(old.getvalue())
    assert jsontext.write({}) == b"{}"
