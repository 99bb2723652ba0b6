"""Write then read is identity; damaged bytes give records or BadPackage, nothing else."""

from __future__ import annotations

import gzip
import io
import os
import random
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lokole.mail.errors import BadPackage, Refused
from lokole.mail.model import Address, Attachment, Contact, Email
from lokole.sync import lines
from lokole.sync.limits import BOX, Limits
from lokole.sync.package import Compression, read_package, write_jsonl_gz, write_package
from lokole.sync.records import AccountRecord, AttachmentRecord, BadRecord, EmailRecord, Record

# Whatever a store can hold: no NUL, no lone surrogate.
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40)
named = texts.filter(bool)
names = st.dictionaries(named, texts, max_size=6)
moments = st.datetimes(timezones=st.just(UTC)).map(lambda moment: moment.replace(second=0, microsecond=0))
cids = st.none() | named
types = st.sampled_from(["application/octet-stream", "image/webp", "text/plain; charset=utf-8"])
attachments = st.builds(Attachment, named, st.binary(max_size=200), types, cids)
addresses = st.sampled_from(
    [Address("ann", "village.lokole.ca"), Address("Bob.B", "example.com"), Address("été", "xn--a.org")]
)


@st.composite
def own_emails(draw: st.DrawFn) -> Email:
    """A letter as our own box gets it: one name for each address."""
    known = draw(names)

    def contacts() -> tuple[Contact, ...]:
        chosen = draw(st.lists(st.sampled_from(sorted(known)), max_size=4)) if known else []
        return tuple(Contact(address, known[address]) for address in chosen)

    sender = contacts()
    return Email(
        sender=sender[0] if sender else Contact(""),
        to=contacts(),
        cc=contacts(),
        bcc=contacts(),
        reply_to=contacts(),
        subject=draw(texts),
        body=draw(texts),
        attachments=tuple(draw(st.lists(attachments, max_size=3))),
        sent_at=draw(st.none() | moments),
        message_id=draw(texts),
        in_reply_to=draw(texts),
        references=tuple(draw(st.lists(named, max_size=3))),
        recipients=tuple(draw(st.lists(addresses, max_size=3))),
    )


@st.composite
def plain_emails(draw: st.DrawFn) -> Email:
    """What a version 1 box can be told of a letter."""

    def contacts() -> tuple[Contact, ...]:
        return tuple(map(Contact, draw(st.lists(named, max_size=4))))

    return Email(
        sender=Contact(draw(texts)),
        to=contacts(),
        cc=contacts(),
        bcc=contacts(),
        subject=draw(texts),
        body=draw(texts),
        attachments=tuple(draw(st.lists(st.builds(Attachment, named, st.binary(max_size=200), cid=cids), max_size=3))),
        sent_at=draw(moments),
    )


def packages(emails: st.SearchStrategy[Email], *, own_box: bool) -> st.SearchStrategy[list[Record]]:
    """Letters with different uids, then files, then people, as a reader gives them."""
    uids = st.text(st.characters(codec="ascii", exclude_characters="\0"), min_size=1, max_size=64)
    letters = st.lists(st.builds(EmailRecord, uids, emails), max_size=5, unique_by=lambda record: record.uid)
    content = attachments if own_box else st.builds(Attachment, named, st.binary(max_size=200), cid=cids)
    files = st.lists(st.builds(AttachmentRecord, uids, content, st.lists(uids, max_size=3).map(tuple)), max_size=2)
    hashes = st.none() | st.just("$2b$12$x")
    people = st.lists(
        st.builds(AccountRecord, named, hashes, st.none() | st.just("fr"), st.integers(0, 2**63 - 1))
        if own_box
        else st.builds(AccountRecord, named, hashes),
        max_size=3,
    )
    return st.tuples(letters, files, people).map(lambda parts: [*parts[0], *parts[1], *parts[2]])


def pack(records: list[Record], compression: Compression, *, own_box: bool = True) -> bytes:
    out = io.BytesIO()
    letters = write_package(out, records, compression=compression, own_box=own_box)
    assert letters == sum(isinstance(record, EmailRecord) for record in records)
    return out.getvalue()


compressions = st.sampled_from(list(Compression))
gently = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


@gently
@given(packages(own_emails(), own_box=True), compressions)
def test_our_own_box_reads_what_was_written(records: list[Record], compression: Compression) -> None:
    assert list(read_package(io.BytesIO(pack(records, compression)), limits=BOX)) == records


@gently
@given(packages(plain_emails(), own_box=False), compressions)
def test_a_first_box_can_be_told_everything_it_knows(records: list[Record], compression: Compression) -> None:
    assert list(read_package(io.BytesIO(pack(records, compression, own_box=False)), limits=BOX)) == records


@gently
@given(packages(own_emails(), own_box=True))
def test_lines_for_people_lose_nothing(records: list[Record]) -> None:
    text = b"".join(map(lines.record_line, records))
    assert [lines.read_record_line(line) for line in text.split(b"\n")[:-1]] == records


@gently
@given(packages(own_emails(), own_box=True))
def test_a_file_of_lines_holds_every_letter(records: list[Record]) -> None:
    letters = [record for record in records if isinstance(record, EmailRecord)]
    out = io.BytesIO()
    assert write_jsonl_gz(out, letters) == len(letters)
    assert list(read_package(io.BytesIO(out.getvalue()))) == letters


def check_harmless(data: bytes, limits: Limits = BOX) -> list[Record]:
    """Read ``data``; anything but records and BadPackage fails the test by itself."""
    found: list[Record] = []
    try:
        for record in read_package(io.BytesIO(data), limits=limits):
            found.append(record)
            lines.record_line(record)
            if isinstance(record, EmailRecord):
                # Whatever was read can be stored and sent on.
                str(record.email).encode("utf-8")
    except BadPackage:
        pass
    return found


@gently
@given(st.binary(max_size=2000))
def test_any_bytes_give_records_or_bad_package(data: bytes) -> None:
    check_harmless(data)
    check_harmless(gzip.compress(data))
    for magic in (b"\x1f\x8b\x08", b"\x28\xb5\x2f\xfd", b"BZh9", b"\xfd7zXZ\x00"):
        check_harmless(magic + data)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)
keys = st.sampled_from(
    [
        "_uid",
        "to",
        "cc",
        "bcc",
        "from",
        "subject",
        "body",
        "attachments",
        "sent_at",
        "message_id",
        "in_reply_to",
        "references",
        "reply_to",
        "names",
        "recipients",
        "filename",
        "content",
        "cid",
        "type",
        "email",
        "password",
        "language",
        "version",
        "emails",
        "kind",
        "notes",
    ]
)
attachment_like = st.lists(st.dictionaries(keys, json_values, max_size=5), max_size=3)


@gently
@given(
    st.dictionaries(keys, json_values | attachment_like, max_size=12),
    st.sampled_from(["emails.jsonl", "zattachments.jsonl", "zzusers.jsonl"]),
)
def test_any_json_in_a_line_is_one_letter_or_a_bad_record(fields: dict[str, object], member: str) -> None:
    from lokole.sync import jsontext, version1

    line = jsontext.write(fields)
    found = version1.read_line(member, 1, line, limits=BOX)
    assert len(found) == 1 or isinstance(found[0], EmailRecord)
    assert all(isinstance(extra, BadRecord) for extra in found[1:])
    for record in found:
        lines.record_line(record)
    try:
        lines.read_record_line(line)
    except (BadPackage, Refused) as refused:
        assert isinstance(refused, BadPackage)


def replayable() -> random.Random:
    """Randomness whose seed is printed; ``LOKOLE_TEST_SEED`` gives it again."""
    seed = int(os.environ.get("LOKOLE_TEST_SEED") or random.randrange(2**32))
    print(f"LOKOLE_TEST_SEED={seed}")
    return random.Random(seed)


def sample() -> list[Record]:
    email = Email(Contact("a@b.c"), to=(Contact("x@y.z"),), subject="s", body="<p>words</p>" * 20)
    return [*(EmailRecord(f"{n:032x}", email) for n in range(20)), AccountRecord("a@b.c")]


def damaged(data: bytes, chance: random.Random) -> bytes:
    """``data`` with one to three bytes changed, pieces cut out, doubled or moved."""
    broken = bytearray(data)
    for _ in range(chance.randint(1, 3)):
        at, other = sorted((chance.randrange(len(broken) + 1), chance.randrange(len(broken) + 1)))
        match chance.randrange(6):
            case 0 if broken:
                broken[min(at, len(broken) - 1)] ^= 1 << chance.randrange(8)
            case 1:
                broken[at:at] = chance.randbytes(chance.randint(1, 20))
            case 2:
                del broken[at : at + chance.randint(1, 600)]
            case 3:
                del broken[at:]
            case 4:
                broken[at:at] = broken[at:other]
            case _:
                broken[at:other] = bytes(other - at)
    return bytes(broken)


@pytest.mark.parametrize("compression", list(Compression))
def test_a_damaged_package_gives_records_or_bad_package(compression: Compression) -> None:
    chance = replayable()
    whole = pack(sample(), compression)
    for _ in range(1500):
        check_harmless(damaged(whole, chance))


def test_a_damaged_archive_inside_a_good_compression_does_no_harm() -> None:
    chance = replayable()
    whole = pack(sample(), Compression.TAR)
    for _ in range(1500):
        check_harmless(gzip.compress(damaged(whole, chance), 1))


def test_a_damaged_line_costs_no_neighbour() -> None:
    """One line of twenty is changed in every way; the nineteen others arrive as they are."""
    from lokole.sync import version1
    from tests.unit.sync.archives import archive

    chance = replayable()
    good = [record for record in sample() if isinstance(record, EmailRecord)]
    texts_ = [version1.write_email_line(record, own_box=True) for record in good]
    for _ in range(2000):
        broken = damaged(texts_[10], chance).replace(b"\n", b" ")
        content = b"\n".join([*texts_[:10], broken, *texts_[11:]])
        found = list(read_package(io.BytesIO(archive(("emails.jsonl", content)))))
        assert found[:10] == good[:10]
        assert found[-9:] == good[11:]
        between = found[10:-9]
        if broken.strip(b"\r") and isinstance(between[0], BadRecord):
            assert between[0].raw == broken.removesuffix(b"\r")


def test_the_seed_that_failed_can_be_read_again() -> None:
    """The damage depends on nothing but the seed."""
    whole = pack(sample(), Compression.ZSTD)
    assert damaged(whole, random.Random(5)) == damaged(whole, random.Random(5))


def test_a_moment_with_seconds_is_told_to_the_minute() -> None:
    email = Email(Contact("a@b.c"), sent_at=datetime(2026, 1, 2, 3, 4, 59, tzinfo=UTC))
    (found,) = list(read_package(io.BytesIO(pack([EmailRecord("1", email)], Compression.GZ))))
    assert isinstance(found, EmailRecord)
    assert found.email.sent_at == datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
