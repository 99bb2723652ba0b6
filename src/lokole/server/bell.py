"""A doorbell: it says that there may be work in the database, and nothing more.

The row is the truth. A bell that nobody heard costs the time until the next look.
"""

from __future__ import annotations

import threading
from collections.abc import Callable


class Doorbell:
    """Rung after a commit; wakes the worker threads, or (``inline``) has the work done before ``ring`` returns."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._rings = 0
        self._inline: Callable[[], None] | None = None
        self._working = threading.RLock()
        self._inside = False

    def work_inline(self, work: Callable[[], None]) -> None:
        """From now on ``work`` runs inside :meth:`ring`; a ring from within it is heard by the run that is going on."""
        self._inline = work

    def ring(self) -> None:
        """There may be work. Never call it inside a transaction."""
        if self._inline is not None:
            with self._working:
                if self._inside:
                    return
                self._inside = True
                try:
                    self._inline()
                finally:
                    self._inside = False
            return
        with self._changed:
            self._rings += 1
            self._changed.notify_all()

    @property
    def rings(self) -> int:
        """How often it was rung; give it to :meth:`wait`."""
        with self._changed:
            return self._rings

    def wait(self, heard: int, seconds: float) -> None:
        """Return when it was rung since ``heard``, at the latest after ``seconds``."""
        with self._changed:
            self._changed.wait_for(lambda: self._rings != heard, timeout=seconds)
