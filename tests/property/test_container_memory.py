"""A sealed package of any content fits into a box: opened, verified and read by a process of its own whose address space is limited."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lokole.sync import zstd
from lokole.sync.container import Header, PayloadKind, seal
from lokole.sync.signing import public_key
from lokole.sync.varint import varint
from tests.property.test_package_memory import ADDRESS_SPACE, HEAVY, MAX_GROWTH, MIB, repeated

BOX, SERVER = bytes(range(32)), bytes(range(32, 64))

READER = """
import json, resource, sys
from pathlib import Path
from lokole.mail.errors import BadPackage
from lokole.sync.limits import BOX
from lokole.sync.sealed import read_sealed

def memory(field):
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024

def consume(path):
    counts, error, reasons = {}, None, []
    with open(path, "rb") as file:
        try:
            keys = bytes.fromhex(sys.argv[1])
            for record in read_sealed(file, recipient_seed=keys[:32], sender_public=lambda header: keys[32:], limits=BOX).records:
                name = type(record).__name__
                counts[name] = counts.get(name, 0) + 1
                if name == "BadRecord":
                    reasons = (reasons + [record.reason])[:5]
        except BadPackage as bad:
            error = str(bad)
    return counts, error, reasons

consume(sys.argv[3])
Path("/proc/self/clear_refs").write_text("5")
before = memory("VmRSS")
size = memory("VmSize") + ADDRESS_SPACE
resource.setrlimit(resource.RLIMIT_AS, (size, size))
counts, error, reasons = consume(sys.argv[2])
print(json.dumps({"counts": counts, "error": error, "reasons": reasons, "growth": memory("VmHWM") - before}))
""".replace("ADDRESS_SPACE", str(ADDRESS_SPACE))

ACCOUNT = varint(3) + varint(15) + b'{"email":"a@b"}'


def frame(kind: int, body: Iterator[bytes] | bytes, size: int | None = None) -> Iterator[bytes]:
    pieces = iter([body]) if isinstance(body, bytes) else body
    yield varint(kind) + varint(len(body) if isinstance(body, bytes) else size or 0)
    yield from pieces


def letter(files: int) -> bytes:
    return json.dumps({"_uid": "x", "attachments": [{}] * files}).encode()


def files(count: int, size: int) -> Iterator[bytes]:
    yield from frame(1, letter(count))
    for _ in range(count):
        yield from frame(2, repeated(b"some bytes of a file. ", size), size)


def heavy(kind: int, name: str) -> Callable[[], Iterator[bytes]]:
    return lambda: frame(kind, HEAVY[name]())


#: what is in the payload, behind and before an account, and whether the account behind it is reached
PAYLOADS: dict[str, Callable[[], Iterator[bytes]]] = {
    "a file as large as there may be": lambda: files(1, 24 * MIB),
    "as many bytes in many files": lambda: files(24, MIB),
    "files beyond the bound": lambda: files(4, 20 * MIB),
    "a file that is too long": lambda: files(1, 70 * MIB),
    "a kind that is not known": lambda: frame(99, repeated(b"x of a later version", 24 * MIB), 24 * MIB),
    "a thousand files that never come": lambda: (piece for _ in range(500) for piece in frame(1, letter(1000))),
    "files without letters": lambda: (piece for _ in range(150_000) for piece in frame(2, b"")),
    "text": heavy(1, "as much wide text as there may be"),
    "values": heavy(1, "empty lists"),
    "nesting": heavy(6, "lists in lists"),
    "a number": heavy(1, "one number"),
    "quotes": heavy(6, "escaped quotes"),
}


def sealed(path: Path, pieces: Iterator[bytes]) -> Path:
    codec = zstd.compressor(3)

    def payload() -> Iterator[bytes]:
        for piece in pieces:
            yield codec.compress(piece)
        yield codec.flush()

    header = Header("up", "village.lokole.ca", "box", 1, 1, PayloadKind.ZSTD)
    with path.open("wb") as out:
        seal(out, header, payload(), sender_seed=BOX, recipient_public=public_key(SERVER), entropy=bytes)
    return path


def read_in_a_process(path: Path, warm: Path) -> dict[str, object]:
    keys = (SERVER + public_key(BOX)).hex()
    done = subprocess.run(
        [sys.executable, "-c", READER, keys, str(path), str(warm)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found: dict[str, object] = json.loads(done.stdout)
    print(found)
    return found


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An ordinary package, read first so that imports and caches do not count."""
    return sealed(tmp_path_factory.mktemp("warm") / "small", iter([ACCOUNT]))


@pytest.mark.parametrize("name", PAYLOADS)
def test_a_heavy_package_fits_into_a_box(name: str, tmp_path: Path, small: Path) -> None:
    pieces = (piece for part in (iter([ACCOUNT]), PAYLOADS[name](), iter([ACCOUNT])) for piece in part)
    found = read_in_a_process(sealed(tmp_path / "heavy", pieces), small)
    assert isinstance(found["growth"], int)
    assert found["growth"] <= MAX_GROWTH
    assert isinstance(found["counts"], dict)
    assert "too much memory" not in str(found["reasons"])
    assert (found["error"], found["counts"]["AccountRecord"]) in [
        (None, 2),
        ("the package expands too much for its size", 1),
    ]


@pytest.mark.parametrize("what", [b"\0", ACCOUNT, varint(2) + b"\0", varint(99) + varint(2**60)])
def test_a_bomb_ends_in_bounded_memory(what: bytes, tmp_path: Path, small: Path) -> None:
    found = read_in_a_process(sealed(tmp_path / "bomb", repeated(what, 80 * MIB)), small)
    assert found["error"] is not None
    assert isinstance(found["growth"], int)
    assert found["growth"] <= MAX_GROWTH
