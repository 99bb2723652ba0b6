"""What Linux, a Raspberry Pi's firmware and ModemManager say of the machine; each is asked only where it is there.

sys/fs/ext4/*/errors_count                                 errors of a file system since it was last repaired, over restarts
sys/devices/platform/soc/soc:firmware/get_throttled        hexadecimal; bit 0: the voltage is too low, bit 16: it was since the start
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from lokole.ports.machine import MachineState

_UNDER_VOLTAGE = 1 | 1 << 16
#: seconds that the modem has to answer
_PATIENCE = 5.0


def ask_modem() -> str:
    """What ModemManager knows of the modem, as ``mmcli`` prints it for programs; empty without one."""
    program = shutil.which("mmcli")
    if program is None:
        return ""
    try:
        said = subprocess.run([program, "-m", "any", "-K"], capture_output=True, timeout=_PATIENCE, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return said.stdout.decode("utf-8", "replace")


class LinuxMachine:
    """A ``ports.machine.LookAtMachine``. ``root`` is where the machine's files begin, ``copied`` the file whose time says when a copy was made."""

    def __init__(self, copied: Path, *, root: Path = Path("/"), modem: Callable[[], str] = ask_modem) -> None:
        self._copied = copied
        self._root = root
        self._modem = modem

    def __call__(self) -> MachineState:
        throttled = self._numbers("sys/devices/platform/soc/soc:firmware/get_throttled", 16)
        return MachineState(
            card_errors=sum(self._numbers("sys/fs/ext4/*/errors_count", 10)),
            power_is_low=any(number & _UNDER_VOLTAGE for number in throttled),
            signal=_signal(self._modem()),
            copied_at=self._copied_at(),
        )

    def _numbers(self, pattern: str, base: int) -> list[int]:
        found = []
        for path in self._root.glob(pattern):
            try:
                found.append(int(path.read_text("ascii"), base))
            except (OSError, ValueError):
                continue  # a file system that is just gone, or a kernel that says it otherwise
        return found

    def _copied_at(self) -> datetime | None:
        try:
            return datetime.fromtimestamp(self._copied.stat().st_mtime, UTC)
        except (OSError, ValueError, OverflowError):
            return None


def _signal(said: str) -> int | None:
    """The percent that ``mmcli -K`` prints; None when it is none of now, as of a modem that sleeps."""
    found = dict(re.findall(r"^modem\.generic\.signal-quality\.(value|recent)\s*:\s*(\w+)\s*$", said, re.MULTILINE))
    value = found.get("value", "")
    if found.get("recent") != "yes" or not value.isdecimal():
        return None
    return min(int(value), 100)


__all__ = ["LinuxMachine", "ask_modem"]
