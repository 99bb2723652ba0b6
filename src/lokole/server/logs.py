"""What the server writes down about itself: one JSON object a line, on standard error.

Every line carries the id of the request or of the job that it belongs to.
Nothing of a letter, no address and no secret is ever part of a line: of an error its type and its place are told,
never its text, because that may quote what it failed on; of a request its route, never its path.
"""

from __future__ import annotations

import json
import logging
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime

_work_id: ContextVar[str] = ContextVar("lokole_work_id", default="")
_SOURCE = "/lokole/"

# libraries that quote what they were given
_TALKATIVE = (
    "mail.log",
    "opentelemetry",
    "azure",
    "sqlalchemy",
    "python_multipart",
    "httpx",
    "httpx2",
    "httpcore",
    "asyncio",
)
# libraries that quote what they were given in their errors too; what fails there, we write down ourselves
_SILENT = ("connexion",)


@contextmanager
def working_on(name: str) -> Iterator[None]:
    """Every line of this thread or task inside the block belongs to ``name``, such as ``job-12``."""
    token = _work_id.set(name)
    try:
        yield
    finally:
        _work_id.reset(token)


def place(error: BaseException) -> str:
    """The type of ``error`` and where it came from, such as ``KeyError at mail/mime.py:120 < server/receive.py:88``; nothing of its text."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if _SOURCE in frame.filename.replace("\\", "/")]
    chosen = (ours or frames)[-3:]
    where = " < ".join(f"{_short(frame.filename)}:{frame.lineno}" for frame in reversed(chosen))
    return f"{type(error).__name__} at {where}" if where else type(error).__name__


def _short(path: str) -> str:
    plain = path.replace("\\", "/")
    return plain.rpartition(_SOURCE)[2] if _SOURCE in plain else plain.rpartition("/")[2]


class JsonLines(logging.Formatter):
    """A log record as one line of JSON; an exception is told by :func:`place`."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "text": record.getMessage(),
        }
        if work_id := _work_id.get():
            line["id"] = work_id
        if record.exc_info and record.exc_info[1] is not None:
            line["error"] = place(record.exc_info[1])
        return json.dumps(line, ensure_ascii=False)


def set_up(level: int = logging.INFO) -> None:
    """Write all log lines of this process to standard error in this form."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    quieten()


def quieten() -> None:
    """Let libraries that quote their input speak of errors only, and not at all where they quote it in those."""
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.ERROR)
    for name in _SILENT:
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
