"""``Shrink`` in a process of its own, so that no picture can crash, fill or hold up the program that has the mail.

One picture at a time. The child starts with the first picture, serves further ones, and ends by itself when idle:
a box has no memory for a process that waits for photos. A crash, a time-out or a bomb costs that one picture's shrinking.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from typing import IO

from lokole.adapters.shrink.child import ANSWER, FORMATS, REQUEST, TYPES
from lokole.mail.model import PictureLimits

_MAX_BYTES = 60_000_000


class SubprocessShrink:
    """Implements ``ports.Shrink``; safe to call from several threads, which then wait for each other.

    ``max_memory_mb`` is address space of the child (about 150 of it are the interpreter and its libraries),
    ``cpu_seconds`` and ``timeout`` (seconds on the wall) hold per picture, after ``idle_seconds`` the child ends,
    and after ``max_pictures`` a fresh one takes over.
    """

    def __init__(
        self,
        *,
        max_memory_mb: int = 384,
        cpu_seconds: int = 10,
        timeout: float = 30.0,
        idle_seconds: int = 20,
        max_pictures: int = 200,
    ) -> None:
        self._arguments = [str(max_memory_mb), str(cpu_seconds), str(idle_seconds)]
        self._timeout = timeout
        self._max_pictures = max_pictures
        self._lock = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None
        self._served = 0

    def __call__(self, content: bytes, limits: PictureLimits) -> tuple[bytes, str] | None:
        """The smaller picture and its media type, or None when it is better left as it is; never raises."""
        if not content or len(content) > _MAX_BYTES or limits.format not in FORMATS:
            return None
        head = REQUEST.pack(len(content), max(1, min(limits.longest_side, 0xFFFF)), FORMATS.index(limits.format))
        with self._lock:
            try:
                if self._served >= self._max_pictures or (self._child and self._child.poll() is not None):
                    self._stop()
                child = self._child or self._start()
                if not _sent(child, head):  # it ended, being idle, just as we looked
                    self._stop()
                    child = self._start()
                    if not _sent(child, head):
                        return None
                result = self._ask(child, content)
            except (OSError, ValueError):
                result = None
            if result is None:
                self._stop()
                return None
            self._served += 1
            return result if result[0] and len(result[0]) < len(content) else None

    def close(self) -> None:
        """End the child, if there is one; a later call starts a new one."""
        with self._lock:
            self._stop()

    def _start(self) -> subprocess.Popen[bytes]:
        # No secret of ours goes into the child: it gets a path to find modules and nothing else.
        environment = {
            name: os.environ[name] for name in ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH") if name in os.environ
        }
        self._child = subprocess.Popen(
            [sys.executable, "-m", "lokole.adapters.shrink.child", *self._arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            start_new_session=True,  # Ctrl-C on a terminal is for the program, which then closes us
        )
        self._served = 0
        return self._child

    def _stop(self) -> None:
        child, self._child = self._child, None
        if child is None:
            return
        child.kill()
        for pipe in (child.stdin, child.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        child.wait()

    def _ask(self, child: subprocess.Popen[bytes], content: bytes) -> tuple[bytes, str] | None:
        """The child's answer; None when it died or was killed for being late, and then it is of no further use."""
        late = threading.Timer(self._timeout, child.kill)
        late.daemon = True
        late.start()
        try:
            assert child.stdin is not None and child.stdout is not None
            child.stdin.write(content)
            child.stdin.flush()
            head = _read(child.stdout, ANSWER.size)
            if head is None:
                return None
            length, type_no = ANSWER.unpack(head)
            data = _read(child.stdout, length)
            return None if data is None else (data, TYPES[type_no])
        finally:
            late.cancel()


def _sent(child: subprocess.Popen[bytes], head: bytes) -> bool:
    assert child.stdin is not None
    try:
        child.stdin.write(head)
        child.stdin.flush()
    except OSError:
        return False
    return True


def _read(stream: IO[bytes], length: int) -> bytes | None:
    data = stream.read(length)
    return data if len(data) == length else None
