"""``Updater`` by a program that the operator put there (``LOKOLE_UPDATE_COMMAND``).

The update usually ends by starting the box anew, so nothing of it may hang on this process: a child of its own session
(``adapters/updater/child.py``) runs the program and writes down how it ended. In the folder:

    lock         held by the child while it lives, so that no clock and no process number says whether an update runs
    begun.json   {"id", "version", "before", "began_at"}: what was wished, the version that was here, seconds since 1970
    ended.json   {"id", "code", "said"}: the program's exit code, -1 for none, and the end of what it said

Where the child was ended too (systemd does so with all of a service), the version that is here now says what became of it.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lokole.adapters.updater.child import write_whole
from lokole.mail.errors import Refused, Temporary
from lokole.ports.callables import Clock
from lokole.ports.updater import Update, UpdateState

#: of a release: numbers with dots, perhaps a candidate's ending; never an option or a path
_VERSION = re.compile(r"[0-9]{1,4}(?:\.[0-9]{1,6}){0,3}(?:(?:a|b|rc|\.post|\.dev)[0-9]{1,6})?")
_AN_HOUR = 3600.0


class ProgramUpdater:
    """Implements :class:`lokole.ports.updater.Updater`; ``version`` is the one that runs now, ``seconds`` what an update may take."""

    def __init__(self, program: Path, folder: Path, *, clock: Clock, version: str, seconds: float = _AN_HOUR) -> None:
        self._program = program
        self._folder = folder
        self._clock = clock
        self._version = version
        self._seconds = seconds

    def is_ready(self) -> bool:
        return self._program.is_file() and os.access(self._program, os.X_OK)

    def start(self, version: str) -> str:
        if version and not _VERSION.fullmatch(version):
            raise Refused("a version is numbers with dots", code="version", field="version")
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with (self._folder / "lock").open("ab") as lock:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    return "busy"
                self._begin(version, lock.fileno())
        except OSError as error:
            raise Temporary(f"the update could not begin ({error.strerror})") from error
        return "started"

    def last(self) -> Update | None:
        begun = _read(self._folder / "begun.json")
        try:
            began_at = datetime.fromtimestamp(begun["began_at"], UTC)
            id_, version, before = str(begun["id"]), str(begun["version"]), str(begun["before"])
        except (KeyError, TypeError, ValueError, OverflowError):
            return None
        # before the result: whoever holds the lock no more has written it
        if self._is_running():
            return Update(UpdateState.RUNNING, version, began_at)
        ended = _read(self._folder / "ended.json")
        if ended.get("id") == id_:
            state = UpdateState.DONE if ended.get("code") == 0 else UpdateState.FAILED
            return Update(state, version, began_at, str(ended.get("said", "")))
        is_new = self._version != before if not version else self._version == version
        return Update(UpdateState.DONE if is_new else UpdateState.CUT, version, began_at)

    def _begin(self, version: str, lock: int) -> None:
        """Start the child, which gets the lock and keeps it to its end."""
        now = self._clock().timestamp()
        id_ = f"{now:.6f} {os.getpid()}"
        begun = {"id": id_, "version": version, "before": self._version, "began_at": now}
        write_whole(self._folder / "begun.json", begun)
        (self._folder / "ended.json").unlink(missing_ok=True)
        command = [sys.executable, "-m", "lokole.adapters.updater.child"]
        arguments = [str(self._folder), id_, str(self._seconds), str(self._program), *([version] if version else [])]
        child = subprocess.Popen(
            command + arguments,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=(lock,),
            start_new_session=True,
            cwd="/",
        )
        threading.Thread(target=child.wait, name="update", daemon=True).start()

    def _is_running(self) -> bool:
        with suppress(OSError), (self._folder / "lock").open("ab") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False


def _read(path: Path) -> Mapping[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
