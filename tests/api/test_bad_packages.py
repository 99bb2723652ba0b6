"""A bad package, each way: what is good in it is taken once, the rest is kept apart with its reason, and its maker hears of it."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from lokole.mail.model import Contact, Email
from lokole.sync import zstd
from lokole.sync.container import CONTENT_TYPE, Header, PayloadKind, seal
from lokole.sync.records import EmailRecord, ToldRecord
from lokole.sync.signing import Seed, body_sha256, new_key, public_key
from lokole.sync.varint import varint
from tests.unit.server.place import BoxAtPlace, Place

DOMAIN, OTHER = "a.lokole.test", "b.lokole.test"
MIB = 1024 * 1024


@pytest.fixture
def box(place: Place) -> BoxAtPlace:
    return place.box(DOMAIN, ["ann"])


def letter(n: int, sender: str = f"ann@{DOMAIN}") -> EmailRecord:
    email = Email(sender=Contact(sender), to=(Contact(f"bob{n}@example.org"),), subject=f"Letter {n}")
    return EmailRecord(f"{n:032x}", email)


def good(box: BoxAtPlace, place: Place) -> bytes:
    return box.sealed([letter(1)], 2)


def truncated(box: BoxAtPlace, place: Place) -> bytes:
    return good(box, place)[:-20]


def altered(box: BoxAtPlace, place: Place) -> bytes:
    content = bytearray(good(box, place))
    content[-20] ^= 1
    return bytes(content)


def with_seed(box: BoxAtPlace, seed: bytes) -> bytes:
    own, box.seed = box.seed, Seed(seed)
    try:
        return box.sealed([letter(1)], 2)
    finally:
        box.seed = own


def forged(box: BoxAtPlace, place: Place) -> bytes:
    return with_seed(box, new_key(place.ports.entropy))


def for_another_server(box: BoxAtPlace, place: Place) -> bytes:
    own, box.server_key = box.server_key, public_key(new_key(place.ports.entropy))
    try:
        return good(box, place)
    finally:
        box.server_key = own


def of_another_box(box: BoxAtPlace, place: Place) -> bytes:
    other = place.box(OTHER, ["zoe"])
    return other.sealed([letter(1, f"zoe@{OTHER}")], 2)


def for_another_domain(box: BoxAtPlace, place: Place) -> bytes:
    return box.sealed([letter(1)], 2, tenant=OTHER)


def of_another_number(box: BoxAtPlace, place: Place) -> bytes:
    return box.sealed([letter(1)], 99)


def of_a_future_version(box: BoxAtPlace, place: Place) -> bytes:
    return b"LKL\x03" + good(box, place)[4:]


def no_package(box: BoxAtPlace, place: Place) -> bytes:
    return b"hello"


def bomb(box: BoxAtPlace, place: Place) -> bytes:
    """A good letter, then a hundred times more than anybody sends in as many bytes."""

    def payload() -> Iterator[bytes]:
        codec = zstd.compressor(3)
        email = {"_uid": f"{1:032x}", "from": f"ann@{DOMAIN}", "to": ["bob1@example.org"], "subject": "Letter 1"}
        first = json.dumps(email).encode()
        yield codec.compress(varint(1) + varint(len(first)) + first)
        for _ in range(4):
            yield codec.compress(varint(99) + varint(40 * MIB))
            for _ in range(40):
                yield codec.compress(bytes(MIB))
        yield codec.flush()

    out = io.BytesIO()
    header = Header("up", box.domain, box.device_id, box.epoch, 2, PayloadKind.ZSTD)
    seal(
        out,
        header,
        payload(),
        sender_seed=box.seed,
        recipient_public=box.server_key,
        entropy=place.ports.entropy,
    )
    return out.getvalue()


def told(box: BoxAtPlace) -> list[tuple[str, int, str]]:
    found = [record for offered in box.offers() for record in box.get(offered)]
    return [(one.package, one.record, one.code) for one in found if isinstance(one, ToldRecord)]


def hand_over(box: BoxAtPlace, content: bytes, expect: int = 201, seq: int = 2) -> str:
    sha256 = body_sha256(content)
    headers = {"Content-Type": CONTENT_TYPE, "Lokole-Epoch": str(box.epoch), "Lokole-Seq": str(seq)}
    answer = box.call("PUT", f"/api/exchange/packages/{sha256}", content, headers)
    assert answer.status_code == expect, answer.text
    return sha256


Make = Callable[[BoxAtPlace, Place], bytes]


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (truncated, "truncated"),
        (altered, "altered"),
        (forged, "forged"),
        (for_another_server, "not-for-us"),
        (of_another_box, "unknown-sender"),
        (for_another_domain, "unknown-sender"),
        (of_another_number, "number"),
        (of_a_future_version, "future-version"),
        (no_package, "not-sealed"),
    ],
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)
def test_nothing_of_a_package_that_does_not_open_is_taken_and_its_maker_is_told(
    place: Place, box: BoxAtPlace, make: Make, code: str
) -> None:
    content = make(box, place)
    sha256 = hand_over(box, content)
    assert place.world.sent == []
    (apart,) = [one for one in place.quarantined() if one.kind == "package"]
    assert apart.reason.startswith(code)
    assert apart.raw_ref is not None
    assert place.ports.blobs.read(apart.raw_ref) == content
    assert told(box) == [(sha256, 0, code)]
    hand_over(box, content, expect=200)
    hand_over(box, box.sealed([letter(1)], 3), seq=3)
    assert [one.recipient for one in place.world.sent] == ["bob1@example.org"], "the next one is not kept back by it"
    assert len(place.quarantined()) == 1


def test_what_stands_before_a_bomb_is_taken_once(place: Place, box: BoxAtPlace) -> None:
    sha256 = hand_over(box, bomb(box, place))
    assert [one.recipient for one in place.world.sent] == ["bob1@example.org"]
    assert (sha256, 0) in [one[:2] for one in told(box)]
    assert "package" in [one.kind for one in place.quarantined()]
    hand_over(box, box.sealed([letter(1), letter(2)], 3), seq=3)
    assert [one.recipient for one in place.world.sent] == ["bob1@example.org", "bob2@example.org"]


def test_a_package_that_comes_again_under_any_number_changes_nothing(place: Place, box: BoxAtPlace) -> None:
    content = good(box, place)
    hand_over(box, content)
    for seq in (2, 3, 2):
        hand_over(box, content, expect=200, seq=seq)
    assert len(place.world.sent) == 1
    assert place.quarantined() == []
    assert told(box) == []


def test_one_impossible_record_costs_its_neighbours_nothing(place: Place, box: BoxAtPlace) -> None:
    foreign = letter(2, "eve@else.test")
    endless = replace(letter(3), email=replace(letter(3).email, to=(Contact("x" * 400),)))
    sha256 = hand_over(box, box.sealed([letter(1), foreign, endless, letter(4)], 2))
    assert [one.recipient for one in place.world.sent] == ["bob1@example.org", "bob4@example.org"]
    assert told(box) == [(sha256, 2, "record")]
    assert [one.kind for one in place.quarantined()] == ["record"]
