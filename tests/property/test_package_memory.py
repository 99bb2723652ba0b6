"""A package of a few kilobytes must not take a machine down, and one of many megabytes must fit into a box.

Each package is read by a process of its own whose address space is limited; the growth of its memory is measured, not guessed.
"""

from __future__ import annotations

import bz2
import json
import lzma
import random
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lokole.mail.model import Attachment, Contact, Email
from lokole.sync import tar, version1, zstd
from lokole.sync.records import EmailRecord

MIB = 1024 * 1024
#: What a box may take above what it takes idle (the address space gets some more, for what allocators set aside).
MAX_GROWTH = 64 * MIB
ADDRESS_SPACE = 160 * MIB

READER = """
import json, resource, sys
from pathlib import Path
from lokole.mail.errors import BadPackage
from lokole.sync.package import BOX, read_package

def memory(field):
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024

def consume(path):
    counts, error, reasons = {}, None, []
    with open(path, "rb") as file:
        try:
            for record in read_package(file, limits=BOX):
                name = type(record).__name__
                counts[name] = counts.get(name, 0) + 1
                if name == "BadRecord":
                    reasons = (reasons + [record.reason])[:5]
        except BadPackage as bad:
            error = str(bad)
    return counts, error, reasons

for warm in sys.argv[2:]:
    consume(warm)
Path("/proc/self/clear_refs").write_text("5")  # forget the peak of starting up
before = memory("VmRSS")
size = memory("VmSize") + ADDRESS_SPACE
resource.setrlimit(resource.RLIMIT_AS, (size, size))
counts, error, reasons = consume(sys.argv[1])
usage = resource.getrusage(resource.RUSAGE_SELF)
print(json.dumps({"counts": counts, "error": error, "reasons": reasons, "growth": memory("VmHWM") - before,
                  "seconds": usage.ru_utime + usage.ru_stime}))
""".replace("ADDRESS_SPACE", str(ADDRESS_SPACE))

LETTER = b'{"_uid":"1","to":["a@b.c"],"subject":"before the bomb"}\n'


def archive(content: Iterator[bytes], size: int) -> Iterator[bytes]:
    """A package with one member of ``size`` bytes, in pieces."""
    yield tar.header("emails.jsonl", size, mtime=0)
    yield from content
    yield bytes(-size % tar.BLOCK + 2 * tar.BLOCK)


def repeated(what: bytes, size: int) -> Iterator[bytes]:
    piece = what * (MIB // len(what))
    for _ in range(size // len(piece)):
        yield piece
    yield (piece + what)[: size % len(piece)]


def line(content: bytes) -> Iterator[bytes]:
    yield LETTER
    yield content
    yield b"\n"


def write(path: Path, pieces: Iterator[bytes], codec: str) -> Path:
    compressors: dict[str, Callable[[], zstd.Compressor]] = {
        "gz": lambda: zlib.compressobj(9, wbits=31),
        "zstd": lambda: zstd.compressor(3),
        "bz2": lambda: bz2.BZ2Compressor(9),
        "xz": lambda: lzma.LZMACompressor(preset=0),
    }
    compressor = compressors[codec]()
    with path.open("wb") as file:
        for piece in pieces:
            file.write(compressor.compress(piece))
        file.write(compressor.flush())
    return path


def read_in_a_process(path: Path, *warm: Path) -> dict[str, object]:
    done = subprocess.run(
        [sys.executable, "-c", READER, str(path), *map(str, warm)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found: dict[str, object] = json.loads(done.stdout)
    print({key: found[key] for key in ("growth", "seconds", "counts", "error", "reasons")})
    return found


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An ordinary package, read first so that imports and caches do not count."""
    path = tmp_path_factory.mktemp("warm") / "small"
    return write(path, archive(iter([LETTER]), len(LETTER)), "zstd")


@pytest.mark.parametrize(
    ("codec", "what"),
    [(codec, what) for codec in ("gz", "zstd") for what in (b"x", b"\n", b"{}\n", LETTER, b"[")]
    + [(codec, what) for codec in ("bz2", "xz") for what in (b"x", b"\n")],
)
def test_a_bomb_is_refused_in_bounded_memory(codec: str, what: bytes, tmp_path: Path, small: Path) -> None:
    size = 80 * MIB
    content = (piece for part in (iter([LETTER]), repeated(what, size)) for piece in part)
    path = write(tmp_path / "bomb", archive(content, size + len(LETTER)), codec)
    assert path.stat().st_size < MIB
    found = read_in_a_process(path, small)
    assert found["error"] is not None
    counts = found["counts"]
    assert isinstance(counts, dict)
    assert counts["EmailRecord"] >= 1
    assert isinstance(found["growth"], int)
    assert found["growth"] <= MAX_GROWTH


def test_a_line_without_end_is_one_bad_record(tmp_path: Path, small: Path) -> None:
    """Noise that does not compress well, so that only the length of the line is wrong."""
    chance = random.Random(7)
    noise = (chance.randbytes(MIB).replace(b"\n", b" ") for _ in range(100))
    content = (piece for part in (iter([LETTER]), noise, iter([b"\n", LETTER])) for piece in part)
    path = write(tmp_path / "line", archive(content, 100 * MIB + 2 * len(LETTER) + 1), "zstd")
    found = read_in_a_process(path, small)
    assert isinstance(found["growth"], int)
    assert found["growth"] <= MAX_GROWTH
    assert (found["error"], found["counts"]) == (None, {"EmailRecord": 2, "BadRecord": 1})
    assert found["reasons"] == ["the line is too long"]


WIDE = "\U0001f600"


def letter_with_a_file() -> bytes:
    attachments = (Attachment("f", bytes(range(256)) * 70_000),)
    return version1.write_email_line(
        EmailRecord("big", Email(Contact("a@b.c"), body=WIDE, attachments=attachments)), own_box=True
    )


def body(text: bytes) -> bytes:
    return b'{"_uid":"1","body":"' + text + b'"}'


HEAVY: dict[str, Callable[[], bytes]] = {
    "a letter with a file of 17 MiB": letter_with_a_file,
    "the same with a wide character that is not escaped": lambda: letter_with_a_file().replace(
        b"\\ud83d\\ude00", WIDE.encode()
    ),
    "a file of 17 MiB that is broken at its end": lambda: letter_with_a_file().replace(
        b'","filename"', b'A","filename"'
    ),
    "as much wide text as there may be": lambda: body(b"x" * (4 * MIB - 100) + WIDE.encode()),
    "the same with the wide character escaped": lambda: body(b"x" * (4 * MIB - 100) + b"\\ud83d\\ude00"),
    "more text than there may be": lambda: body(b"x" * (20 * MIB) + WIDE.encode()),
    "lists in lists": lambda: b'{"_uid":"1","x":' + b"[" * (20 * MIB),
    "empty lists": lambda: b'{"_uid":"1","x":[' + b"[]," * MIB + b"1]}",
    "short strings": lambda: b'{"_uid":"1","x":[' + b'"",' * MIB + b"1]}",
    "escaped quotes": lambda: body(b'\\"' * (2 * MIB - 100)),
    "keys": lambda: b'{"_uid":"1",' + b"".join(b'"%d":1,' % n for n in range(300_000)) + b'"x":1}',
    "short contents": lambda: b'{"_uid":"1","attachments":[' + b'{"content":"AAAA"},' * 200_000 + b"1]}",
    "contents just long enough": lambda: (
        b'{"to":[],"attachments":[' + b'{"content":"%s"},' % (b"AAAA" * 16384) * 300 + b"1]}"
    ),
    "one number": lambda: b'{"_uid":"1","x":' + b"9" * (4 * MIB - 100) + b"}",
}


@pytest.mark.parametrize("name", HEAVY)
def test_one_heavy_line_fits_into_a_box(name: str, tmp_path: Path, small: Path) -> None:
    content = HEAVY[name]()
    size = len(LETTER) * 2 + len(content) + 1
    pieces = (piece for part in (line(content), iter([LETTER])) for piece in part)
    found = read_in_a_process(write(tmp_path / "heavy", archive(pieces, size), "gz"), small)
    counts = found["counts"]
    assert isinstance(counts, dict)
    assert found["error"] is None
    assert counts["EmailRecord"] >= 2
    assert "the line needs too much memory" not in str(found["reasons"])
    assert isinstance(found["growth"], int)
    assert found["growth"] <= MAX_GROWTH
