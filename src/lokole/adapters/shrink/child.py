"""The process that makes pictures smaller, limited in memory, CPU time and lifetime.

Started by ``adapters/shrink/subprocess.py`` as ``python -m lokole.adapters.shrink.child``; nothing else should.
It reads requests from its input and writes answers to its output until the input ends or nothing came for a while:

    request:  length of the picture (4 bytes, big endian), longest side (2), format (1, index of ``FORMATS``), the picture
    answer:   length of the result (4), its media type (1, index of ``TYPES``), the result; length 0 means "leave it as it is"

The limits are set here and not before ``exec``: code between fork and exec can hang a process that has threads.
"""

from __future__ import annotations

import os
import resource
import select
import struct
import sys
from typing import BinaryIO

from lokole.mail.model import PictureLimits

REQUEST = struct.Struct(">IHB")
ANSWER = struct.Struct(">IB")
FORMATS = ("keep", "webp", "jpeg")
TYPES = ("image/jpeg", "image/webp", "image/png")


def main(arguments: list[str]) -> None:
    """Serve until the input ends; ``arguments``: megabytes of address space, CPU seconds a picture, idle seconds."""
    max_memory_mb, cpu_seconds, idle_seconds = (int(argument) for argument in arguments)
    os.nice(10)
    resource.setrlimit(resource.RLIMIT_AS, (max_memory_mb << 20, max_memory_mb << 20))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    # What a codec prints must not get among the answers.
    answers = os.fdopen(os.dup(1), "wb")
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    _serve(sys.stdin.buffer, answers, cpu_seconds, idle_seconds)


def _serve(requests: BinaryIO, answers: BinaryIO, cpu_seconds: int, idle_seconds: int) -> None:
    while select.select([requests], [], [], idle_seconds)[0]:
        head = requests.read(REQUEST.size)
        if len(head) < REQUEST.size:
            return
        length, side, format_no = REQUEST.unpack(head)
        content = requests.read(length)
        if len(content) < length:
            return
        used = resource.getrusage(resource.RUSAGE_SELF)
        resource.setrlimit(
            resource.RLIMIT_CPU, (int(used.ru_utime + used.ru_stime) + 1 + cpu_seconds, resource.RLIM_INFINITY)
        )
        result = _shrink(content, PictureLimits(side, FORMATS[format_no]))
        del content
        data, media_type = result if result is not None else (b"", TYPES[0])
        answers.write(ANSWER.pack(len(data), TYPES.index(media_type)) + data)
        answers.flush()


def _shrink(content: bytes, limits: PictureLimits) -> tuple[bytes, str] | None:
    from lokole.mail.slim import shrink_image

    try:
        return shrink_image(content, limits)
    except Exception:  # whatever a codec raises means the same: this picture stays as it is
        return None


if __name__ == "__main__":
    main(sys.argv[1:])
