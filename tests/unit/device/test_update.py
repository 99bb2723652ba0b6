"""The box takes its updates from the program that its settings name, and remembers them in its folder."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from lokole.device.box import Box
from lokole.device.build import updater_of
from lokole.ports.updater import UpdateState
from tests.unit.adapters.test_updater import ended


def test_the_program_of_the_settings_brings_the_new_version(box: Box, tmp_path: Path) -> None:
    assert updater_of(box) is None
    program = tmp_path / "bring-lokole"
    program.write_text("#!/bin/sh\nexit 0\n")
    program.chmod(0o755)
    box.settings = replace(box.settings, update_command=program, data=tmp_path)
    updater = updater_of(box)
    assert updater is not None
    assert updater.start("2.1") == "started"
    ended(tmp_path / "update")
    again = updater_of(box)
    assert again is not None
    last = again.last()
    assert last is not None
    assert (last.state, last.version, last.began_at) == (UpdateState.DONE, "2.1", box.ports.clock())
