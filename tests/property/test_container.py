"""Sealed packages: write then read is identity; whatever is done to one, it is refused or it is the same."""

from __future__ import annotations

import contextlib
import gzip
import io
from datetime import UTC

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from lokole.mail.errors import BadPackage
from lokole.mail.model import Attachment, Contact, DeliveryState, Email, EmailId
from lokole.sync import digest, jsontext, lines
from lokole.sync import seal as sealing
from lokole.sync.bundle import bundle_chunks, packages_in
from lokole.sync.container import Header, PayloadKind, for_exchange, open_sealed, read_header, seal, write_header
from lokole.sync.ids import letter_print
from lokole.sync.limits import BOX, Limits
from lokole.sync.payload2 import Kind, payload_chunks, read_payload, write_payload
from lokole.sync.records import (
    FLAGS,
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
from lokole.sync.sealed import read_sealed, write_sealed
from lokole.sync.signing import public_key
from lokole.sync.varint import varint
from tests.property.test_package import attachments, keys, moments, named, own_emails, replayable, texts

gently = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

numbers = st.integers(0, 2**63 - 1) | st.sampled_from([0, 1, 127, 128, 2**63 - 1])
from_one = st.integers(1, 2**63 - 1)
ids = st.binary(min_size=16, max_size=16).map(EmailId)
seeds = st.binary(min_size=32, max_size=32)
uids = st.text(st.characters(codec="ascii", exclude_characters="\0"), min_size=1, max_size=64)
directions = st.sampled_from(["up", "down"])
seconds = st.datetimes(timezones=st.just(UTC)).map(lambda moment: moment.replace(microsecond=0))
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
bodies = st.dictionaries(texts, json_values, max_size=4)
entries = st.builds(EntryState, named, named, st.booleans(), st.booleans(), st.booleans())


@st.composite
def letters(draw: st.DrawFn) -> EmailRecord:
    email = draw(own_emails())
    fields = {name: getattr(email, name) for name in Email.__dataclass_fields__}
    fields |= {"sent_at": draw(st.none() | seconds | moments), "sent_at_doubtful": draw(st.booleans())}
    fields["automatic"] = draw(st.booleans())
    return EmailRecord(draw(uids), Email(**fields), entries=tuple(draw(st.lists(entries, max_size=3))))


def flags() -> st.SearchStrategy[FlagRecord]:
    def of(flag: str) -> st.SearchStrategy[FlagRecord]:
        value = texts if flag == "folder" else st.booleans()
        return st.builds(FlagRecord, ids, named, st.just(flag), value, st.integers(0, 2**62 - 1), texts)

    return st.sampled_from(FLAGS).flatmap(of)


windows = st.builds(
    lambda direction, epoch, first, length: Window(direction, epoch, first, min(first + length, 2**63 - 1)),
    directions,
    numbers,
    from_one,
    st.integers(-1, 2**40),
)
package_digests = st.builds(
    PackageDigest,
    directions,
    numbers,
    from_one,
    st.integers(0, 2**32 - 1),
    st.binary(min_size=16, max_size=16),
    st.binary(min_size=8, max_size=8),
)
records: st.SearchStrategy[AnyRecord] = st.one_of(
    letters(),
    st.builds(AttachmentRecord, uids, attachments, st.lists(named, max_size=3).map(tuple)),
    st.builds(AccountRecord, named, st.none() | st.just("$2b$12$x"), st.none() | st.just("fr"), numbers),
    st.builds(ReceiptRecord, ids, named, st.sampled_from(DeliveryState), numbers, texts, texts, st.none() | seconds),
    flags(),
    st.builds(RequestRecord, named, texts, bodies),
    st.builds(HealthRecord, bodies.filter(lambda body: len(jsontext.write(body)) <= 300)),
    st.builds(
        AckRecord, numbers, numbers, st.lists(numbers, max_size=5).map(tuple), st.sampled_from([b"", b"8 bytes."])
    ),
    st.builds(
        DigestRecord,
        st.lists(windows, max_size=8).map(tuple),
        numbers,
        st.binary(min_size=16, max_size=16),
        st.lists(package_digests, max_size=4).map(tuple),
    ),
    st.builds(ToldRecord, st.binary(min_size=32, max_size=32).map(bytes.hex), numbers, texts, texts),
    st.builds(UnknownRecord, st.integers(12, 2**63 - 1), st.binary(max_size=100)),
)
kinds = st.sampled_from([PayloadKind.GZ, PayloadKind.ZSTD])
headers = st.builds(
    Header,
    directions,
    st.from_regex(r"[a-z0-9.-]{1,253}", fullmatch=True),
    st.from_regex(r"[A-Za-z0-9._-]{1,64}", fullmatch=True) | st.uuids().map(str),
    numbers,
    from_one,
    st.integers(0, 255),
    st.just(bytes(8)) | st.binary(min_size=8, max_size=8),
    numbers,
)


def closed(payload: list[bytes], header: Header, sender: bytes, taker: bytes, random: bytes) -> bytes:
    out = io.BytesIO()
    seal(out, header, payload, sender_seed=sender, recipient_public=public_key(taker), entropy=lambda _n: random)
    return out.getvalue()


@gently
@given(st.lists(records, max_size=6), kinds)
def test_records_of_every_kind_come_back(written: list[AnyRecord], kind: PayloadKind) -> None:
    out = io.BytesIO()
    assert write_payload(out, written, kind=kind) == sum(isinstance(record, EmailRecord) for record in written)
    assert list(read_payload(io.BytesIO(out.getvalue()), kind, limits=BOX)) == written
    assert b"".join(payload_chunks(written, kind=kind)) == out.getvalue()
    for record in written:
        line = lines.record_line(record)
        assert jsontext.read_line(line, limits=BOX)["kind"]
        if isinstance(record, EmailRecord):
            letter_print(record.email)


@gently
@given(headers, st.lists(st.binary(max_size=40_000), max_size=3), seeds, seeds, seeds)
def test_a_sealed_package_comes_back_and_is_the_same_twice(
    header: Header, payload: list[bytes], sender: bytes, taker: bytes, random: bytes
) -> None:
    data = closed(payload, header, sender, taker, random)
    assert data == closed([b"".join(payload)], header, sender, taker, random)
    found = open_sealed(io.BytesIO(data), recipient_seed=taker, sender_public=lambda _header: public_key(sender))
    assert found.header == header
    assert found.payload.read() == b"".join(payload)


@gently
@given(headers, seeds, seeds, seeds)
def test_a_key_of_somebody_else_opens_and_vouches_for_nothing(
    header: Header, sender: bytes, taker: bytes, other: bytes
) -> None:
    assume(len({sender, taker, other}) == 3)
    data = closed([b"payload"], header, sender, taker, bytes(range(32)))
    with pytest.raises(BadPackage) as error:
        open_sealed(io.BytesIO(data), recipient_seed=other, sender_public=lambda _header: public_key(sender))
    assert error.value.code == "not-for-us"
    with pytest.raises(BadPackage) as error:
        open_sealed(io.BytesIO(data), recipient_seed=taker, sender_public=lambda _header: public_key(other))
    assert error.value.code == "forged"


@gently
@given(headers, headers)
def test_a_header_cannot_be_exchanged_by_whoever_opened_the_package(header: Header, other: Header) -> None:
    assume(header != other)
    sender, taker, random = bytes(32), bytes(range(32)), bytes(range(1, 33))
    stream = io.BytesIO(closed([b"payload"], header, sender, taker, random))
    made = sealing.read_seal(stream, recipient_seed=taker, recipient_public=public_key(taker))
    inside, _last = sealing.open_chunk(made, 0, stream)
    swapped = write_header(other) + inside[len(write_header(header)) :]
    data = made.prelude + b"".join(sealing.closed_chunks(made, [swapped]))
    with pytest.raises(BadPackage) as error:
        open_sealed(io.BytesIO(data), recipient_seed=taker, sender_public=lambda _header: public_key(sender))
    assert error.value.code == "forged"


@gently
@given(headers, st.sampled_from(["up", "down"]), st.sampled_from(["a.b", "c.d"]), st.sampled_from(["x", "y"]))
def test_nobody_is_asked_about_a_package_of_another_exchange(
    header: Header, direction: str, tenant: str, device: str
) -> None:
    asked: list[Header] = []

    def known(header: Header) -> bytes:
        asked.append(header)
        return bytes(32)

    vouch = for_exchange(known, direction=direction, tenant=tenant, device_id=device)
    fits = (header.direction, header.tenant, header.device_id) == (direction, tenant, device)
    assert (vouch(header) is not None) == fits == bool(asked)


@gently
@given(headers, st.binary(max_size=20))
def test_headers_come_back_whatever_follows(header: Header, rest: bytes) -> None:
    written = write_header(header)
    assert read_header(written + rest) == (header, len(written))


@gently
@given(st.binary(max_size=400))
def test_any_bytes_are_a_header_or_malformed(data: bytes) -> None:
    try:
        header, _size = read_header(data)
    except BadPackage as error:
        assert error.code == "malformed"
    else:
        assert read_header(write_header(header))[0] == header


@gently
@given(st.binary(max_size=400))
def test_any_bytes_are_refused_by_a_taker(data: bytes) -> None:
    for head in (b"", b"LKL", b"LKL\x02"):
        with pytest.raises(BadPackage):
            open_sealed(io.BytesIO(head + data), recipient_seed=bytes(32), sender_public=lambda _header: bytes(32))


def check_harmless(frames: bytes, limits: Limits = BOX) -> list[AnyRecord]:
    """Read ``frames``; anything but records and BadPackage fails the test by itself."""
    found: list[AnyRecord] = []
    try:
        for record in read_payload(io.BytesIO(gzip.compress(frames, 1)), PayloadKind.GZ, limits=limits):
            found.append(record)
            lines.record_line(record)
            str(record).encode("utf-8")
            if not isinstance(record, BadRecord):
                # Whatever was read can be written, and is the same from then on.
                written = b"".join(payload_chunks([record], kind=PayloadKind.GZ))
                again = list(read_payload(io.BytesIO(written), PayloadKind.GZ, limits=limits))
                assert b"".join(payload_chunks(again, kind=PayloadKind.GZ)) == written
    except BadPackage:
        pass
    return found


@gently
@given(st.binary(max_size=500))
def test_any_bytes_in_frames_give_records_or_bad_package(data: bytes) -> None:
    check_harmless(data)
    check_harmless(b"\x03\x0f" + b'{"email":"a@b"}' + data)
    for kind in (PayloadKind.GZ, PayloadKind.ZSTD):
        with contextlib.suppress(BadPackage):
            list(read_payload(io.BytesIO(data), kind, limits=BOX))


more_keys = keys | st.sampled_from(
    [
        "address",
        "state",
        "code",
        "reason",
        "at",
        "account",
        "flag",
        "value",
        "lamport",
        "origin",
        "key",
        "body",
        "epoch",
        "seq",
        "beyond",
        "windows",
        "count",
        "hash",
        "packages",
        "package",
        "record",
        "entries",
        "sent_at_doubtful",
        "automatic",
    ]
)


@gently
@given(st.dictionaries(more_keys, json_values, max_size=10), st.sampled_from(sorted(set(Kind) - {Kind.FILE})))
def test_any_object_in_a_frame_is_a_record_or_a_bad_one(fields: dict[str, object], kind: Kind) -> None:
    body = jsontext.write(fields)
    found = check_harmless(varint(kind) + varint(len(body)) + body)
    assert found
    assert not any(isinstance(record, UnknownRecord) for record in found)


@gently
@given(st.lists(records, min_size=1, max_size=4), st.data())
def test_records_with_damage_inside_the_seal_are_harmless(written: list[AnyRecord], data: st.DataObject) -> None:
    frames = bytearray(gzip.decompress(b"".join(payload_chunks(written, kind=PayloadKind.GZ))))
    for _ in range(data.draw(st.integers(1, 3))):
        frames[data.draw(st.integers(0, len(frames) - 1))] = data.draw(st.integers(0, 255))
    check_harmless(bytes(frames))


@gently
@given(st.lists(package_digests, max_size=8, unique_by=lambda one: (one.direction, one.epoch, one.seq)), st.data())
def test_ends_agree_exactly_when_nothing_differs(held: list[PackageDigest], data: st.DataObject) -> None:
    covered = [Window(one.direction, one.epoch, one.seq, one.seq) for one in held][:8]
    other = data.draw(st.permutations(held))
    summary = digest.summarise(held, covered)
    assert summary.agrees(digest.summarise(other, covered))
    assert digest.diff(held, other, covered) == []
    assert digest.read_header(digest.write_header(summary)) == summary
    if held:
        lacking = held[1:]
        assert not summary.agrees(digest.summarise(lacking, covered))
        assert len(digest.diff(held, lacking, covered)) == 1


@gently
@given(st.lists(st.binary(max_size=3000).map(lambda data: b"LKL" + data), max_size=4))
def test_bundles_come_back(packages: list[bytes]) -> None:
    data = b"".join(bundle_chunks((f"{n:064x}", len(one), [one]) for n, one in enumerate(packages)))
    assert [package.read() for package in packages_in(io.BytesIO(data))] == packages


@gently
@given(st.binary(max_size=2000))
def test_any_bytes_are_a_bundle_or_bad_package(data: bytes) -> None:
    try:
        for package in packages_in(io.BytesIO(data)):
            package.read()
    except BadPackage:
        pass


def test_thousands_of_damaged_packages_give_nothing() -> None:
    chance = replayable()
    box, server = bytes(range(32)), bytes(range(32, 64))
    sample: list[AnyRecord] = [
        EmailRecord(
            "ab" * 16,
            Email(sender=Contact("a@b.c"), subject="s", attachments=(Attachment("f", chance.randbytes(40_000)),)),
        ),
        AckRecord(1, 2),
    ]
    out = io.BytesIO()
    header = Header("up", "village.lokole.ca", "box", 1, 1, PayloadKind.ZSTD)
    write_sealed(
        out,
        header,
        sample,
        sender_seed=box,
        recipient_public=public_key(server),
        entropy=chance.randbytes,
    )
    whole = out.getvalue()

    def read(data: bytes) -> list[AnyRecord]:
        found = read_sealed(io.BytesIO(data), recipient_seed=server, sender_public=lambda _header: public_key(box))
        return list(found.records)

    assert read(whole) == sample
    words: dict[str, int] = {}
    for _ in range(3000):
        broken = bytearray(whole)
        at, other = sorted((chance.randrange(len(broken)), chance.randrange(len(broken))))
        match chance.randrange(5):
            case 0:
                broken[at] ^= 1 << chance.randrange(8)
            case 1:
                del broken[at:]
            case 2:
                del broken[at : other + 1]
            case 3:
                broken[at:at] = broken[at : at + 1 + chance.randrange(20_000)]
            case _:
                broken[at:other] = bytes(reversed(broken[at:other]))
        if broken == whole:
            continue
        with pytest.raises(BadPackage) as error:
            read(bytes(broken))
        words[error.value.code] = words.get(error.value.code, 0) + 1
    assert (
        {"altered", "truncated"} <= set(words) <= {"altered", "truncated", "not-sealed", "future-version", "not-for-us"}
    )
