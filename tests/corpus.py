"""The messages that tests are made on: the large sets beside the repository, or our own small ones.

Rules: a file that ends in ``.golden`` or is hidden is no message, an mbox ``From `` line is stripped, line ends become CRLF,
and byte-identical files to one recipient count as one letter.
Nothing here judges a message; what a second parser reads in it stands in ``second_reading``.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from lokole.testing import shared_dir

REPOSITORY = Path(__file__).resolve().parent.parent
OWN = REPOSITORY / "tests" / "mail-data"
#: how many messages ``mail`` of the shared data holds; a test asserts that none went missing.
SHARED_MAIL_MESSAGES = 4397

_LINE_END = re.compile(rb"\r\n|\r|\n")


@dataclass(frozen=True)
class Message:
    """One file of a corpus: ``name`` says where it is from, ``raw`` is what a sender would put on the wire."""

    name: str
    raw: bytes

    @property
    def digest(self) -> str:
        """Lower-case hex SHA-256 of ``raw``: what makes two files one letter."""
        return hashlib.sha256(self.raw).hexdigest()


def shared_folder() -> Path | None:
    """The folder of shared test data (``lokole.testing.shared_dir``) when it holds mail, else None."""
    folder = shared_dir()
    return folder if folder is not None and (folder / "mail").is_dir() else None


def as_sent(content: bytes) -> bytes:
    """The bytes of a file as a mail client sends them: without an mbox ``From `` line, all line ends CRLF."""
    if content.startswith(b"From "):
        content = content.partition(b"\n")[2]
    content = _LINE_END.sub(b"\r\n", content)
    return content if content.endswith(b"\r\n") else content + b"\r\n"


def messages_below(folder: Path) -> list[Message]:
    """Every message below ``folder``, in the order of their paths."""
    return [
        Message(str(path.relative_to(folder.parent)), as_sent(path.read_bytes()))
        for path in sorted(folder.rglob("*"))
        if path.is_file() and is_message(path)
    ]


def is_message(path: Path) -> bool:
    """Whether a file of a corpus is a message at all."""
    return path.suffix not in {".golden", ".md", ".jpg", ".pdf", ".gz"} and not path.name.startswith(".")


def own_messages() -> list[Message]:
    """Our own sample, which is always there."""
    return messages_below(OWN) if OWN.is_dir() else []


def shared_mail(folder: Path) -> list[Message]:
    """The real letters of the shared data: two corpora of lists and newsletters, one of phishing."""
    return messages_below(folder / "mail")


def shared_mime(folder: Path) -> list[Message]:
    """What other projects test their parsers with."""
    return messages_below(folder / "testdata" / "mime")


def without_repeats(messages: list[Message]) -> list[Message]:
    """The same list with each content once (the first of them)."""
    first: dict[str, Message] = {}
    for message in messages:
        first.setdefault(message.digest, message)
    return list(first.values())
