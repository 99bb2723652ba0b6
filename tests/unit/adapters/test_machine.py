"""What a machine says of itself: the files of Linux and of a Raspberry Pi, ModemManager's words, and nothing where they are not."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from lokole.adapters.machine.linux import LinuxMachine, ask_modem
from lokole.ports.machine import MachineState

MODEM = """\
modem.generic.state                             : registered
modem.generic.signal-quality.value              : 27
modem.generic.signal-quality.recent             : yes
"""


def look(root: Path, modem: str = "") -> MachineState:
    return LinuxMachine(root / "copied", root=root, modem=lambda: modem)()


def put(root: Path, path: str, text: str) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text)


def test_a_machine_without_any_of_it_says_nothing(tmp_path: Path) -> None:
    assert look(tmp_path) == MachineState()


def test_errors_of_every_file_system_count(tmp_path: Path) -> None:
    put(tmp_path, "sys/fs/ext4/mmcblk0p2/errors_count", "3\n")
    put(tmp_path, "sys/fs/ext4/sda1/errors_count", "4\n")
    put(tmp_path, "sys/fs/ext4/loop0/errors_count", "none\n")
    (tmp_path / "sys/fs/ext4/features").mkdir()
    assert look(tmp_path) == MachineState(card_errors=7)


@pytest.mark.parametrize(
    ("said", "is_low"),
    [("0\n", False), ("50005\n", True), ("10000\n", True), ("1\n", True), ("e0008\n", False), ("", False)],
)
def test_a_raspberry_pi_says_that_its_voltage_is_or_was_too_low(tmp_path: Path, said: str, is_low: bool) -> None:
    put(tmp_path, "sys/devices/platform/soc/soc:firmware/get_throttled", said)
    assert look(tmp_path) == MachineState(power_is_low=is_low)


@pytest.mark.parametrize(
    ("said", "percent"),
    [
        (MODEM, 27),
        (MODEM.replace("27", "0"), 0),
        (MODEM.replace("yes", "no"), None),
        (MODEM.replace("27", "--"), None),
        ("error: couldn't find modem\n", None),
    ],
)
def test_the_modem_says_what_it_hears_just_now(tmp_path: Path, said: str, percent: int | None) -> None:
    assert look(tmp_path, said).signal == percent


def test_the_time_of_a_file_says_when_a_copy_was_made(tmp_path: Path) -> None:
    (tmp_path / "copied").touch()
    os.utime(tmp_path / "copied", (86400, 86400))
    assert look(tmp_path).copied_at == datetime(1970, 1, 2, tzinfo=UTC)


def test_modem_manager_is_asked_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert ask_modem() == ""
    program = tmp_path / "mmcli"
    program.write_text('#!/bin/sh\n[ "$*" = "-m any -K" ] && echo "modem.generic.signal-quality.value : 50"\n')
    program.chmod(0o755)
    assert ask_modem() == "modem.generic.signal-quality.value : 50\n"
