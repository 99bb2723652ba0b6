"""What docs/protocol.md says in numbers and tables is what the code does."""

from __future__ import annotations

import re
from pathlib import Path

from lokole.sync.compression import Compression
from lokole.sync.limits import BOX, SERVER
from lokole.sync.package import JSONL_CONTENT_TYPE

PROTOCOL = (Path(__file__).parents[3] / "docs" / "protocol.md").read_text(encoding="utf-8")


def number(size: int) -> str:
    return f"{size >> 20} MiB" if size >= 1 << 20 and size % (1 << 20) == 0 else f"{size:,}"


def test_the_limits_are_those_of_the_table() -> None:
    rows = re.findall(
        r"^\| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", PROTOCOL[PROTOCOL.index("## 5. Limits") :], re.MULTILINE
    )
    told = {(server, box) for _what, server, box in rows}
    for name in (
        "max_line_bytes",
        "max_text_bytes",
        "max_line_values",
        "max_members",
        "max_records",
        "max_expanded_bytes",
        "max_ratio",
        "zstd_window_log",
        "xz_memory",
    ):
        assert (number(getattr(SERVER, name)), number(getattr(BOX, name))) in told, name


def test_every_compression_is_in_the_table() -> None:
    for compression in Compression:
        assert re.search(
            rf"^\| `{compression}` \|[^|]+\| `{re.escape(compression.extension)}` \| `{re.escape(compression.content_type)}` \|$",
            PROTOCOL,
            re.MULTILINE,
        )
    assert JSONL_CONTENT_TYPE in PROTOCOL


def test_the_sections_that_code_cites_are_there() -> None:
    source = Path(__file__).parents[3] / "src"
    cited = set()
    for path in source.rglob("*.py"):
        cited |= set(re.findall(r"\(?protocol (\d(?:\.\d+)?)\b", path.read_text(encoding="utf-8")))
    assert {"2.4", "4.2", "5"} <= cited
    for section in cited:
        assert re.search(rf"^(?:#+ )?{re.escape(section)}[. ]", PROTOCOL, re.MULTILINE), section


def test_there_is_one_sentence_on_a_line() -> None:
    for line in PROTOCOL.splitlines():
        if not line.startswith(("|", "    ", "#")):
            assert len(re.findall(r"[a-z`)]\. [A-Z]", line)) == 0, line
