"""What a server asks of the system's memory."""

from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path

import pytest

#: eight threads that live at the same time and each take memory, then glibc's own count of heaps
_THREADS = """
import ctypes, sys, threading
from lokole.server.memory import share_heaps
if sys.argv[2] == "shared":
    share_heaps()
together = threading.Barrier(8)
def take():
    together.wait()
    kept = [bytes(2000) for _ in range(100)]
    together.wait()
threads = [threading.Thread(target=take) for _ in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
libc = ctypes.CDLL(None)
libc.fopen.restype = ctypes.c_void_p
libc.fclose.argtypes = [ctypes.c_void_p]
libc.malloc_info.argtypes = [ctypes.c_int, ctypes.c_void_p]
stream = libc.fopen(sys.argv[1].encode(), b"w")
libc.malloc_info(0, stream)
libc.fclose(stream)
"""


def heaps(place: Path, how: str) -> int:
    told = place / how
    subprocess.run([sys.executable, "-c", _THREADS, str(told), how], check=True)
    return told.read_text().count("<heap nr=")


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc gives threads heaps of their own")
def test_the_threads_of_a_server_share_two_heaps(tmp_path: Path) -> None:
    assert heaps(tmp_path, "shared") <= 2
    assert heaps(tmp_path, "left alone") > 2
