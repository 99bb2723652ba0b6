"""How much a package may ask of whoever reads it.

Every bound is there because a few bytes can stand for many: a reader that counts needs no trust in the one who wrote.
Two ready sets: :data:`SERVER` for a worker of the server, :data:`BOX` for the small machine in the village.
"""

from __future__ import annotations

from dataclasses import dataclass

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one package; all sizes in bytes (protocol 5).

    A line beyond one of the first three becomes a bad record; every other bound ends the package.
    """

    #: one line of a member, without its line end
    max_line_bytes: int = 48 * MIB
    #: what a line may hold besides the contents of its attachments; in memory a character may take four bytes, twice
    max_text_bytes: int = 8 * MIB
    #: values (objects, lists, members of them) of one line
    max_line_values: int = 100_000
    #: headers in the archive, the skipped ones too
    max_members: int = 1_000
    #: lines of all members, the bad and the empty ones too
    max_records: int = 1_000_000
    #: the archive after decompression
    max_expanded_bytes: int = 1024 * MIB
    #: expanded over compressed, counted only once ``ratio_counts_from`` bytes have been expanded
    max_ratio: int = 250
    ratio_counts_from: int = 64 * MIB
    #: base-2 logarithm of the largest zstd window; the first Lokole's server wrote level 20, which takes 25 (32 MiB)
    zstd_window_log: int = 25
    #: what the xz decoder may take; ``xz -9`` needs 65 MiB
    xz_memory: int = 96 * MIB
    #: of a line that is too long, this much is kept as evidence
    max_kept_of_long_line: int = 65_536


SERVER = Limits()
BOX = Limits(
    max_line_bytes=24 * MIB,
    max_text_bytes=4 * MIB,
    max_records=200_000,
    max_expanded_bytes=512 * MIB,
    zstd_window_log=23,
    xz_memory=16 * MIB,
)
