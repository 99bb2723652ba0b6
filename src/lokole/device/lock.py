"""Two exchanges never run at once, whoever starts them: the schedule, a person, or a command beside the running box.

The lock is the operating system's on a file, so that it ends with its process, however that ends.
A lease with a time would not do: the clock of a box may jump by years.
"""

from __future__ import annotations

import fcntl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lokole.mail.errors import Refused


class OneAtATime:
    """``with lock.held():`` nobody else is in there; ``path`` None keeps to this process."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._here = threading.Lock()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Raises Refused with code ``busy`` at once when somebody holds it."""
        if not self._here.acquire(blocking=False):
            raise _busy()
        try:
            if self._path is None:
                yield
                return
            with self._path.open("ab") as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError as error:
                    raise _busy() from error
                yield  # closing the file gives the lock back
        finally:
            self._here.release()

    def is_held_here(self) -> bool:
        """Whether a thread of this process holds it now."""
        return self._here.locked()


def _busy() -> Refused:
    return Refused("an exchange is under way already", code="busy")
