"""``shim.c`` built and controlled: a page of memory shared with one process says what happens to its calls."""

from __future__ import annotations

import ctypes
import errno
import hashlib
import mmap
import os
import shutil
import subprocess
import sysconfig
import tempfile
from pathlib import Path

SOURCE = Path(__file__).with_name("shim.c")
KINDS = ("write", "sync", "rename", "link", "unlink", "send", "connect", "truncate", "create", "mkdir")
#: calls that put something on a disk
STORING = ("write", "sync", "rename", "link", "truncate", "create", "mkdir")
BEFORE, MIDST, AFTER = 0, 1, 2
MODES = {"before": BEFORE, "midst": MIDST, "after": AFTER}
_LOG = 65536


class Page(ctypes.Structure):
    """``struct control`` of ``shim.c``."""

    _fields_ = (
        ("on", ctypes.c_uint32),
        ("kill_at", ctypes.c_uint32),
        ("kill_mode", ctypes.c_uint32),
        ("count", ctypes.c_uint32),
        ("fault_mask", ctypes.c_uint32),
        ("fault_errno", ctypes.c_uint32),
        ("fault_from", ctypes.c_uint32),
        ("fault_to", ctypes.c_uint32),
        ("faults", ctypes.c_uint32),
        ("clock_calls", ctypes.c_uint32),
        ("jump_every", ctypes.c_uint32),
        ("jumps", ctypes.c_uint32),
        ("longest_nap", ctypes.c_uint32),
        ("longest_poll", ctypes.c_uint32),
        ("clock_offset", ctypes.c_int64),
        ("jump", ctypes.c_int64 * 16),
        ("folder", ctypes.c_char * 256),
        ("log", ctypes.c_uint8 * _LOG),
    )


class Control:
    """What one process is told; a fresh one lets everything pass and counts nothing."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.write_bytes(bytes(ctypes.sizeof(Page)))
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), 0)
        self.page = Page.from_buffer(self._map)

    def count_from_now(self) -> None:
        """Count calls from 1."""
        self.page.count = 0
        self.page.on = 1

    def kill(self, at: int, mode: str) -> None:
        """End the process at its ``at``-th call: ``before`` it, in its ``midst`` or ``after`` it."""
        self.page.kill_at, self.page.kill_mode = at, MODES[mode]

    def refuse(self, kinds: tuple[str, ...], error: int, first: int, last: int, folder: Path) -> None:
        """Answer ``error`` to calls of ``kinds`` on files below ``folder``, while the count is from ``first`` to ``last``."""
        self.page.folder = os.fsencode(folder)
        self.page.fault_errno, self.page.fault_from, self.page.fault_to = error, first, last
        self.page.fault_mask = sum(1 << KINDS.index(kind) for kind in kinds)

    def calls(self) -> list[str]:
        """The kinds of the calls counted so far."""
        return [KINDS[number] for number in self.page.log[: min(self.page.count, _LOG)]]


def built() -> Path | None:
    """The shared object, built when it is not there yet; None where there is no C compiler."""
    found = hashlib.sha256(SOURCE.read_bytes() + sysconfig.get_platform().encode()).hexdigest()[:16]
    made = Path(tempfile.gettempdir()) / f"lokole-rig-{os.getuid()}-{found}.so"
    if made.exists() and made.stat().st_uid == os.getuid():
        return made
    compiler = next((one for one in ("cc", "gcc", "clang") if shutil.which(one)), None)
    if compiler is None:
        return None
    beside = made.with_suffix(f".{os.getpid()}")
    subprocess.run([compiler, "-O2", "-shared", "-fPIC", "-o", str(beside), str(SOURCE), "-ldl"], check=True)
    beside.rename(made)
    return made


def attach(control: Path) -> None:
    """Put this process under ``control``; it must run with the shim preloaded."""
    attached = ctypes.CDLL(None).rig_attach
    if attached(os.fsencode(control)) != 0:
        raise OSError(errno.EINVAL, "the shim could not map its page")
