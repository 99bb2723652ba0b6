from __future__ import annotations

import hashlib
import io
import re
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from nacl import bindings
from nacl.signing import VerifyKey

from lokole.mail.errors import BadPackage
from lokole.sync import seal as sealing
from lokole.sync.container import (
    CONTENT_TYPE,
    EXTENSION,
    Header,
    for_exchange,
    is_sealed,
    open_sealed,
    open_unverified,
    read_header,
    seal,
    write_header,
)
from lokole.sync.seal import CHUNK, PRELUDE, WRITTEN_CHUNK
from tests.unit.sync.sealed_samples import (
    BOX,
    BOX_PUBLIC,
    DEVICE,
    HEADER,
    OTHER,
    OTHER_PUBLIC,
    RANDOM,
    SERVER,
    SERVER_PUBLIC,
    opened,
    refusal,
    sealed,
)

PROTOCOL = (Path(__file__).parents[3] / "docs" / "protocol.md").read_text(encoding="utf-8")
VECTOR_PAYLOAD = bytes.fromhex(
    "1f8b0800000000000403012100deff081f7b226265796f6e64223a5b5d2c2265706f6368223a392c22736571223a337d82fc79c421000000"
)
VECTOR = bytes.fromhex(
    "4c4b4c0279a631eede1bf9c98f12032cdeadd0e7a079398fc786b88cc846ec89af85a51a2a1907af9132b3a780aa52d9698aff7cececc5204f554eea"
    "5156a70a7cd6165f66e5cc0698162ca5613a4243144e119342b530f0030f06c9c5e79d3ef47f289a8c548e3fc8abbcf87dfd3758814922aabc946f2b"
    "0c6d617bb496ed8faa5e28a8e919818dbe89628a6d03b0ed1e2484cc506140195722d3684f4b4dec419652dda2b580fce70a0e5dab437653ff51860f"
    "64e50cbe662927ffe92b99153d18fd576138573c601bd9ed53d2d7275b97966ba947028ac4ebe140c9a7da357758b07260d1ca3f22"
)

EMPTY = sealed(b"")
SMALL = sealed(b"a payload of a few bytes")
LARGE = sealed(bytes(range(256)) * 256)  # 65,536 bytes: five chunks


# --- as written ----------------------------------------------------------------------------------


def test_the_vector_is_what_is_written_and_what_is_read() -> None:
    assert sealed(VECTOR_PAYLOAD) == VECTOR
    assert opened(VECTOR) == (HEADER, VECTOR_PAYLOAD)


def test_the_protocol_shows_the_vector() -> None:
    shown = re.sub(r"\n    ", "", PROTOCOL[PROTOCOL.index("### 6.8") : PROTOCOL.index("## 7.")])
    assert VECTOR.hex() in shown
    assert VECTOR_PAYLOAD.hex() in shown
    assert write_header(HEADER).hex() in shown
    assert hashlib.sha256(VECTOR).hexdigest() in shown
    assert BOX_PUBLIC.hex() in shown
    assert SERVER_PUBLIC.hex() in shown
    assert CONTENT_TYPE in PROTOCOL
    assert f"its name ends in `{EXTENSION}`" in PROTOCOL


def test_whoever_reads_only_the_document_opens_the_vector() -> None:
    # Section 6 once more, without a line of the code under test.
    ephemeral, hint = VECTOR[4:36], VECTOR[36:44]
    assert VECTOR[:4] == b"LKL\x02"
    assert hint == hashlib.sha256(b"lokole-taker-2" + ephemeral + SERVER_PUBLIC).digest()[:8]
    secret = bindings.crypto_sign_ed25519_sk_to_curve25519(SERVER + SERVER_PUBLIC)
    key = hashlib.blake2b(
        VECTOR[:44] + SERVER_PUBLIC,
        digest_size=32,
        key=bindings.crypto_scalarmult(secret, ephemeral),
        person=b"lokole-package-2",
    ).digest()
    mark = VECTOR[44:46]
    assert mark[0] & 0x80
    size = (int.from_bytes(mark, "big") & 0x3FFF) + 1
    inside = bindings.crypto_aead_xchacha20poly1305_ietf_decrypt(VECTOR[46:], mark, bytes(24), key)
    assert len(inside) == size
    signature = inside[-64:]
    digest = hashlib.sha512(VECTOR[:44] + SERVER_PUBLIC + inside[:-64]).digest()
    VerifyKey(BOX_PUBLIC).verify(b"lokole-package-2\n" + digest, signature)
    length = int.from_bytes(inside[:2], "big")
    fields, payload = inside[2 : 2 + length], inside[2 + length : -64]
    assert payload == VECTOR_PAYLOAD
    assert fields[0] == 0  # up
    assert int.from_bytes(fields[1:9], "big") == 7
    assert (fields[9] & 0x7F) | fields[10] << 7 == 300
    assert fields[11:14] == b"\x01\x00\x00"  # payload, no prime, no letters
    assert fields[14:32] == b"\x11village.lokole.ca"
    assert fields[32:] == b"\0" + bytes.fromhex(DEVICE.replace("-", ""))


#: bytes in the seal that are no payload
AROUND = len(write_header(HEADER)) + 64


@pytest.mark.parametrize(
    "size",
    [0, 1, *(n * CHUNK - AROUND + more for n in (1, 2) for more in (-1, 0, 1, 63, 64, 65)), CHUNK, 5 * CHUNK + 1],
)
def test_a_payload_of_any_size_comes_back(size: int) -> None:
    payload = bytes(n % 251 for n in range(size))
    data = sealed(payload)
    assert opened(data) == (HEADER, payload)
    chunks = (len(data) - PRELUDE + WRITTEN_CHUNK - 1) // WRITTEN_CHUNK
    assert len(data) == size + AROUND + PRELUDE + chunks * (WRITTEN_CHUNK - CHUNK)


def test_pieces_do_not_show_in_the_bytes() -> None:
    whole = bytes(range(256)) * 200
    assert sealed(whole) == sealed([whole[:1], b"", whole[1:20_000], whole[20_000:]])


def test_equal_randomness_gives_equal_bytes_and_other_randomness_shares_none() -> None:
    assert sealed(b"x") == sealed(b"x")
    other = sealed(b"x", random=bytes(32))
    assert other[4:] != sealed(b"x")[4:]
    assert opened(other) == (HEADER, b"x")


def test_randomness_is_asked_for_once() -> None:
    asked: list[int] = []

    def entropy(size: int) -> bytes:
        asked.append(size)
        return RANDOM

    seal(io.BytesIO(), HEADER, [b"x" * 100_000], sender_seed=BOX, recipient_public=SERVER_PUBLIC, entropy=entropy)
    assert asked == [32]


def test_nothing_of_header_or_payload_is_in_the_clear() -> None:
    data = sealed(b"the words of a letter, the words of a letter")
    for told in (
        b"village",
        DEVICE.encode(),
        bytes.fromhex(DEVICE.replace("-", "")),
        b"letter",
        BOX_PUBLIC,
        SERVER_PUBLIC,
    ):
        assert told not in data


@pytest.mark.parametrize(
    "header",
    [
        HEADER,
        Header("down", "a.b", "device_7.x", 0, 1, 0),
        Header("down", "a.b", "A" * 16, 2**63 - 1, 2**63 - 1, 255, b"\1" * 8, 2**63 - 1),
        Header("up", "x" * 253, DEVICE.upper(), 1, 127, 2, letters=128),
    ],
)
def test_every_header_comes_back(header: Header) -> None:
    written = write_header(header)
    assert read_header(written + b"payload") == (header, len(written))
    assert opened(sealed(b"p", header)) == (header, b"p")


@pytest.mark.parametrize(
    "changes",
    [
        {"direction": "sideways"},
        {"epoch": -1},
        {"epoch": 2**63},
        {"seq": 0},
        {"seq": 2**63},
        {"payload": 256},
        {"letters": -1},
        {"prime": b"short"},
        {"tenant": ""},
        {"tenant": "Village.lokole.ca"},
        {"tenant": "village\nlokole.ca"},
        {"device_id": ""},
        {"device_id": "x" * 65},
        {"device_id": "é"},
    ],
)
def test_a_header_that_cannot_be_writes_nothing(changes: dict[str, object]) -> None:
    out = io.BytesIO()
    with pytest.raises(ValueError, match="header"):
        seal(
            out,
            replace(HEADER, **changes),  # type: ignore[arg-type]
            [b"x"],
            sender_seed=BOX,
            recipient_public=SERVER_PUBLIC,
            entropy=lambda _n: RANDOM,
        )
    assert out.getvalue() == b""


@pytest.mark.parametrize("public", [bytes(32), b"\1" + bytes(31), b"short", b"\xff" * 32])
def test_a_public_key_that_is_none_is_refused(public: bytes) -> None:
    with pytest.raises(ValueError, match="public key"):
        sealed(b"x", to=public)


@pytest.mark.parametrize("mark", [0x0FFF, 0x4FFF, 0xCFFF, 0x7FFF])
def test_a_maker_cannot_write_chunks_of_another_size_or_mark(mark: int) -> None:
    # Sealed rightly, by somebody who has the maker's key: only the last chunk may be short, and one bit is kept for later.
    made = sealing.new_seal(SERVER_PUBLIC, lambda _n: RANDOM)
    written = mark.to_bytes(2, "big")
    content = write_header(HEADER) + bytes((mark & 0x3FFF) + 1 - len(write_header(HEADER)))
    chunk = bindings.crypto_aead_xchacha20poly1305_ietf_encrypt(content, written, bytes(24), made.key)
    stream = io.BytesIO(written + chunk)
    with pytest.raises(BadPackage) as error:
        sealing.open_chunk(made, 0, stream)
    assert error.value.code == "altered"
    assert stream.tell() == 2


def test_a_header_with_later_fields_is_read() -> None:
    written = write_header(HEADER)
    longer = (len(written) - 2 + 5).to_bytes(2, "big") + written[2:] + b"later"
    assert read_header(longer + b"payload") == (HEADER, len(longer))


# --- damage --------------------------------------------------------------------------------------


@pytest.mark.parametrize("data", [EMPTY, SMALL], ids=["empty", "small"])
def test_a_package_cut_off_anywhere_is_truncated(data: bytes) -> None:
    for size in range(len(data)):
        assert refusal(data[:size]) == ("truncated" if size >= 3 else "not-sealed"), size


def test_a_large_package_cut_off_anywhere_is_truncated() -> None:
    borders = [PRELUDE + n * WRITTEN_CHUNK for n in range(5)]
    for size in sorted(
        {near for border in borders for near in range(border - 3, border + 4)} | set(range(4, len(LARGE), 97))
    ):
        assert refusal(LARGE[:size]) == "truncated", size


def test_no_bit_can_be_changed() -> None:
    for at in range(len(SMALL)):
        for bit in range(8):
            broken = bytearray(SMALL)
            broken[at] ^= 1 << bit
            code = refusal(bytes(broken))
            if at < 3:
                assert code == "not-sealed"
            elif at == 3:
                assert code == "future-version"
            elif at < PRELUDE:
                assert code == "not-for-us"
            elif at < PRELUDE + 2:
                assert code in ("truncated", "altered")
            else:
                assert code == "altered"


def chunks_of(data: bytes) -> list[bytes]:
    rest = data[PRELUDE:]
    return [rest[at : at + WRITTEN_CHUNK] for at in range(0, len(rest), WRITTEN_CHUNK)]


def test_chunks_cannot_be_swapped_dropped_repeated_or_added() -> None:
    head, chunks = LARGE[:PRELUDE], chunks_of(LARGE)
    assert len(chunks) == 5
    for order in ([1, 0, 2, 3, 4], [0, 2, 3, 4], [0, 1, 2, 4], [0, 1, 1, 2, 3, 4], [4], [0, 4], [0, 1, 2, 3, 4, 4]):
        assert refusal(head + b"".join(chunks[n] for n in order)) == "altered", order
    assert refusal(LARGE + b"\0") == "altered"


def test_chunks_of_another_package_do_not_fit() -> None:
    other = sealed(bytes(65_536), random=bytes(reversed(RANDOM)))
    for n in range(5):
        chunks = chunks_of(LARGE)
        chunks[n] = chunks_of(other)[n]
        assert refusal(LARGE[:PRELUDE] + b"".join(chunks)) == "altered"
    assert refusal(other[:PRELUDE] + LARGE[PRELUDE:]) == "altered"


def test_a_full_chunk_cannot_be_made_the_last_one() -> None:
    chunks = chunks_of(LARGE)
    last = bytes((chunks[0][0] | 0x80,)) + chunks[0][1:]
    assert refusal(LARGE[:PRELUDE] + last) == "altered"


def test_a_later_version_is_not_taken_for_damage() -> None:
    assert refusal(b"LKL\x03" + SMALL[4:]) == "future-version"
    assert refusal(b"LKL\x09") == "future-version"


@pytest.mark.parametrize("data", [b"", b"LK", b"PK\3\4", b"\x1f\x8b\x08" + bytes(60), b"\x28\xb5\x2f\xfd"])
def test_what_is_no_sealed_package_is_said_to_be_none(data: bytes) -> None:
    assert refusal(data) == "not-sealed"
    assert not is_sealed(data)


# --- attackers -----------------------------------------------------------------------------------


def inside_of(data: bytes, *, by: bytes, public: bytes) -> bytes:
    """What an honest taker can see: header, payload and signature as they stand in the seal."""
    stream = io.BytesIO(data)
    made = sealing.read_seal(stream, recipient_seed=by, recipient_public=public)
    inside, last, number = b"", False, 0
    while not last:
        content, last = sealing.open_chunk(made, number, stream)
        inside += content
        number += 1
    return inside


def sealed_again(inside: bytes, *, to: bytes = SERVER_PUBLIC, random: bytes = RANDOM) -> bytes:
    """What anybody who knows a public key can make: a seal around any bytes."""
    made = sealing.new_seal(to, lambda _n: random)
    return made.prelude + b"".join(sealing.closed_chunks(made, [inside]))


def test_a_package_for_somebody_else_does_not_open() -> None:
    assert refusal(SMALL, by=OTHER) == "not-for-us"


def test_a_hint_that_is_made_right_opens_nothing() -> None:
    hint = hashlib.sha256(b"lokole-taker-2" + SMALL[4:36] + OTHER_PUBLIC).digest()[:8]
    assert refusal(SMALL[:36] + hint + SMALL[PRELUDE:], by=OTHER) == "altered"


def test_whoever_opened_a_package_cannot_pass_it_on_as_meant_for_another() -> None:
    to_box = sealed(b"x", replace(HEADER, direction="down"), sender=SERVER, to=BOX_PUBLIC)
    inside = inside_of(to_box, by=BOX, public=BOX_PUBLIC)
    passed_on = sealed_again(inside, to=OTHER_PUBLIC)
    assert refusal(passed_on, by=OTHER, sender=SERVER_PUBLIC) == "forged"
    # The control: bytes that are sealed again as they were are the same package, not another one.
    assert sealed_again(inside, to=BOX_PUBLIC) == to_box


def test_whoever_opened_a_package_cannot_make_it_a_new_one() -> None:
    inside = inside_of(SMALL, by=SERVER, public=SERVER_PUBLIC)
    assert sealed_again(inside) == SMALL
    assert refusal(sealed_again(inside, random=bytes(32))) == "forged"


@pytest.mark.parametrize(
    "changes",
    [
        {"direction": "down"},
        {"tenant": "a.b"},
        {"device_id": "other"},
        {"epoch": 8},
        {"seq": 301},
        {"payload": 2},
        {"prime": b"12345678"},
        {"letters": 1},
    ],
)
def test_no_field_of_the_header_can_be_exchanged(changes: dict[str, object]) -> None:
    old, new = write_header(HEADER), write_header(replace(HEADER, **changes))  # type: ignore[arg-type]
    inside = inside_of(SMALL, by=SERVER, public=SERVER_PUBLIC)
    assert inside.startswith(old)
    assert refusal(sealed_again(new + inside[len(old) :])) == "forged"


def test_payload_and_signature_cannot_be_exchanged() -> None:
    inside = inside_of(SMALL, by=SERVER, public=SERVER_PUBLIC)
    other = inside_of(sealed(b"another payload, as long"), by=SERVER, public=SERVER_PUBLIC)
    assert refusal(sealed_again(inside[:-64] + other[-64:])) == "forged"
    assert refusal(sealed_again(other[:-64] + inside[-64:])) == "forged"
    assert refusal(sealed_again(inside[:-65] + inside[-64:])) == "forged"
    assert refusal(sealed_again(inside + b"\0")) == "forged"


def test_a_package_of_another_box_is_not_taken_for_one_of_this() -> None:
    assert refusal(sealed(b"x", sender=OTHER)) == "forged"
    assert refusal(SMALL, sender=OTHER_PUBLIC) == "forged"


@pytest.mark.parametrize("sender", [b"", bytes(32), b"x" * 31])
def test_a_key_that_is_none_vouches_for_nothing(sender: bytes) -> None:
    assert refusal(SMALL, sender=sender) == "forged"


def test_a_maker_that_is_not_known_is_told_apart_from_a_forger() -> None:
    assert refusal(SMALL, sender=None) == "unknown-sender"


@pytest.mark.parametrize(
    ("direction", "tenant", "device", "word"),
    [
        ("up", "village.lokole.ca", DEVICE, "taken"),
        ("up", None, None, "taken"),
        ("down", "village.lokole.ca", DEVICE, "unknown-sender"),
        ("up", "b.lokole.ca", DEVICE, "unknown-sender"),
        ("up", "village.lokole.ca", "other", "unknown-sender"),
    ],
)
def test_what_is_not_of_this_exchange_is_refused(direction: str, tenant: str, device: str, word: str) -> None:
    vouch = for_exchange(lambda _header: BOX_PUBLIC, direction=direction, tenant=tenant, device_id=device)
    try:
        open_sealed(io.BytesIO(SMALL), recipient_seed=SERVER, sender_public=vouch)
        found = "taken"
    except BadPackage as error:
        found = error.code
    assert found == word


@pytest.mark.parametrize("point", [bytes(32), b"\1" + bytes(31), bytes.fromhex("ecffffff" + "ff" * 27 + "7f")])
def test_a_point_of_small_order_opens_nothing(point: bytes) -> None:
    prelude = b"LKL\x02" + point + hashlib.sha256(b"lokole-taker-2" + point + SERVER_PUBLIC).digest()[:8]
    zero = sealing.Seal(
        prelude,
        hashlib.blake2b(prelude + SERVER_PUBLIC, digest_size=32, key=bytes(32), person=b"lokole-package-2").digest(),
    )
    inside = inside_of(SMALL, by=SERVER, public=SERVER_PUBLIC)
    assert refusal(prelude + b"".join(sealing.closed_chunks(zero, [inside]))) == "altered"


@pytest.mark.parametrize(
    "head",
    [
        b"\0",
        b"\0\0",
        b"\xff\xff" + bytes(100),
        write_header(HEADER)[:-1],
        b"\0\x31\x02" + write_header(HEADER)[3:],  # a third direction
        write_header(HEADER)[:3] + b"\xff" + write_header(HEADER)[4:],  # an epoch that no database can hold
        write_header(HEADER)[:11] + b"\0" + write_header(HEADER)[12:],  # seq 0, or a varint a byte too long
        write_header(HEADER).replace(b"village", b"VILLAGE"),
        write_header(HEADER).replace(b"village", b"vill\nge"),
        write_header(HEADER).replace(b"village", b"vill\xe9ge"),
    ],
)
def test_a_header_that_cannot_be_read_is_malformed(head: bytes) -> None:
    assert refusal(sealed_again(head + bytes(64))) == "malformed"


def test_a_package_without_room_for_a_signature_is_malformed() -> None:
    head = write_header(HEADER)
    assert refusal(sealed_again(head)) == "malformed"
    assert refusal(sealed_again(head + bytes(63))) == "malformed"
    assert refusal(sealed_again(head + bytes(64))) == "forged"


def test_the_last_bit_of_a_large_package_keeps_all_of_it_back() -> None:
    broken = bytearray(LARGE)
    broken[-1] ^= 1
    asked: list[Header] = []

    def sender_public(header: Header) -> bytes:
        asked.append(header)
        return BOX_PUBLIC

    with pytest.raises(BadPackage):
        open_sealed(io.BytesIO(broken), recipient_seed=SERVER, sender_public=sender_public)
    assert asked == []


def test_no_reason_holds_anything_of_the_content() -> None:
    data = sealed(b"secret words")
    for bad in (data[:-1], data[:60] + b"x" + data[61:], sealed(b"secret words", sender=OTHER)):
        with pytest.raises(BadPackage) as error:
            opened(bad)
        assert "secret" not in str(error.value)
        assert "village" not in str(error.value)


# --- as a stream ---------------------------------------------------------------------------------


def test_the_payload_can_be_read_in_any_order() -> None:
    payload = bytes(n % 253 for n in range(3 * CHUNK))
    found = open_sealed(io.BytesIO(sealed(payload)), recipient_seed=SERVER, sender_public=lambda _header: BOX_PUBLIC)
    assert found.payload.read(10) == payload[:10]
    found.payload.seek(2 * CHUNK - 5)
    assert found.payload.read(20) == payload[2 * CHUNK - 5 : 2 * CHUNK + 15]
    found.payload.seek(0)
    assert found.payload.read() == payload
    found.payload.seek(-3, io.SEEK_END)
    assert found.payload.read(10) == payload[-3:]
    found.payload.seek(len(payload) + 5)
    assert found.payload.read() == b""


def test_a_package_that_lies_behind_other_bytes_is_read_where_it_lies() -> None:
    stream = io.BytesIO(b"before" + LARGE)
    stream.seek(6)
    found = open_sealed(stream, recipient_seed=SERVER, sender_public=lambda _header: BOX_PUBLIC)
    assert hashlib.sha256(found.payload.read()).digest() == hashlib.sha256(bytes(range(256)) * 256).digest()


def test_a_stream_that_gives_a_byte_at_a_time_is_read() -> None:
    class Slow(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            return super().read(min(1, size or 0))

    found = open_sealed(Slow(SMALL), recipient_seed=SERVER, sender_public=lambda _header: BOX_PUBLIC)
    assert found.payload.read() == b"a payload of a few bytes"


def test_a_disk_that_changes_its_mind_gives_no_other_bytes() -> None:
    data = bytearray(LARGE)
    stream = io.BytesIO(data)
    found = open_sealed(stream, recipient_seed=SERVER, sender_public=lambda _header: BOX_PUBLIC)
    stream.seek(PRELUDE + WRITTEN_CHUNK + 100)
    stream.write(b"\0\0\0\0")
    with pytest.raises(BadPackage) as error:
        found.payload.read()
    assert error.value.code == "altered"


def test_looking_into_a_package_asks_for_no_signature() -> None:
    found = open_unverified(io.BytesIO(sealed(b"x", sender=OTHER)), recipient_seed=SERVER)
    assert (found.header, found.payload.read()) == (HEADER, b"x")


def test_memory_stays_at_a_few_chunks_whatever_the_size(tmp_path: Path) -> None:
    file = tmp_path / "package.lkl"

    def pieces() -> Iterator[bytes]:
        for n in range(160):
            yield bytes((n,)) * 100_000

    tracemalloc.start()
    try:
        with file.open("wb") as out:
            seal(out, HEADER, pieces(), sender_seed=BOX, recipient_public=SERVER_PUBLIC, entropy=lambda _n: RANDOM)
        with file.open("rb") as stream:
            found = open_sealed(stream, recipient_seed=SERVER, sender_public=lambda _header: BOX_PUBLIC)
            size = 0
            while piece := found.payload.read(65_536):
                size += len(piece)
        _now, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert size == 16_000_000
    assert peak < 1_000_000
