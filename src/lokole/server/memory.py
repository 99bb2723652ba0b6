"""How a server asks the system for memory.

glibc gives every thread a heap of its own, up to eight for each core, and each keeps what its busiest moment took.
The threads of a server take turns at the interpreter anyway, so two heaps serve them as well and hold a tenth less of a small machine.
"""

from __future__ import annotations

import ctypes
import sys
from contextlib import suppress

#: of malloc.h; other C libraries have no such thing
_M_ARENA_MAX = -8
_HEAPS = 2


def share_heaps() -> None:
    """From now on all threads share two heaps; call it before they start. Does nothing where the C library knows no such thing."""
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).mallopt(_M_ARENA_MAX, _HEAPS)
