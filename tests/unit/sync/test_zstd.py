"""Both Zstandard libraries give and take the same; the one for 32-bit ARM is tested where it is installed."""

from __future__ import annotations

import importlib
import io
import random
from typing import Any

import pytest

from lokole.sync import zstd

DATA = b"".join(b"%d letters, " % n for n in range(50_000)) + random.Random(1).randbytes(300_000)


def library(name: str) -> tuple[str, Any]:
    try:
        return name, importlib.import_module(name)
    except ImportError:
        pytest.skip(f"{name} is not installed here")


@pytest.fixture(params=["compression.zstd", "backports.zstd", "zstandard"])
def either(request: pytest.FixtureRequest) -> tuple[str, Any]:
    return library(request.param)


def compressed(data: bytes, either: tuple[str, Any] | None = None, level: int = 3) -> bytes:
    frame = zstd.compressor(level, library=either)
    half = len(data) // 2
    return frame.compress(data[:half]) + frame.compress(data[half:]) + frame.flush()


def expanded(data: bytes, either: tuple[str, Any] | None = None, *, window_log: int = 25) -> bytes:
    pieces = list(zstd.expanded(io.BytesIO(data).read, window_log=window_log, max_frames=5, library=either))
    assert max(map(len, pieces), default=0) <= 256 * 1024
    return b"".join(pieces)


def test_what_one_library_writes_every_other_reads(either: tuple[str, Any]) -> None:
    for level in (3, 10, 19):
        assert expanded(compressed(DATA, either, level)) == DATA
        assert expanded(compressed(DATA, None, level), either) == DATA


def test_no_checksum_and_no_size_in_the_frame(either: tuple[str, Any]) -> None:
    assert compressed(b"short", either)[4] & 0b11100100 == 0


def test_frames_one_behind_the_other_are_one_stream(either: tuple[str, Any]) -> None:
    skippable = b"\x50\x2a\x4d\x18\x03\x00\x00\x00abc"
    assert expanded(compressed(b"one") + skippable + compressed(b"two"), either) == b"onetwo"


def test_damage_and_large_windows_are_errors(either: tuple[str, Any]) -> None:
    data = compressed(DATA, None, 19)
    with pytest.raises(ValueError, match="damaged"):
        expanded(data[:6] + b"\xff" * 40 + data[46:], either)
    with pytest.raises(ValueError, match="window"):
        expanded(data, either, window_log=15)
    with pytest.raises(ValueError, match="damaged"):
        expanded(compressed(b"one") + b"garbage", either)


def test_a_frame_that_ends_early_is_an_error_or_gives_only_its_beginning(either: tuple[str, Any]) -> None:
    data = compressed(DATA)[:-10]
    if either[0] == "zstandard":
        assert DATA.startswith(expanded(data, either))
        return
    with pytest.raises(ValueError, match="ends early"):
        expanded(data, either)


def test_frames_without_end_are_counted(either: tuple[str, Any]) -> None:
    if either[0] == "zstandard":
        pytest.skip("this library reads across frames by itself; the bytes it gives are counted")
    with pytest.raises(ValueError, match="too many"):
        expanded(compressed(b"x") * 6, either)
