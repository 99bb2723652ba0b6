"""Letters to measure on: about 1.3 kB of text each, every tenth with a file of 20 kB, as the first Lokole was measured.

The text is cut from real letters and news (``mail/village`` of the shared data) where that is there,
else from words made up here with the frequencies of a language, so that indexes and compression see a real vocabulary.
The same seed gives the same letters.
"""

from __future__ import annotations

import bisect
import gzip
import html
import itertools
import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from lokole.mail.model import Attachment, Contact, Email
from tests.corpus import shared_folder

BODY_CHARACTERS = 1300
FILE_BYTES = 20_000
#: in nearly every text, whichever the source: the worst case of a search that hits.
COMMON_WORD = "the"
#: in no text.
ABSENT_WORD = "xylokoleabsentx"
_START = datetime(2026, 3, 1, 6, 0, tzinfo=UTC)


class Letters:
    """A source of letters to ``recipient``; ``source`` says where the words came from."""

    def __init__(self, recipient: str, *, seed: int = 2026) -> None:
        self._recipient = Contact(recipient)
        self._random = random.Random(seed)
        village = _village()
        self.source = "mail/village" if village else "made-up words"
        self._text, self._subjects, self._senders = village or _made_up(random.Random(seed))

    def __call__(self, count: int) -> Iterator[Email]:
        """``count`` letters, one minute apart."""
        for n in range(count):
            yield self._letter(n)

    def _letter(self, n: int) -> Email:
        chosen = self._random
        start = chosen.randrange(len(self._text) - BODY_CHARACTERS)
        text = self._text[start : start + BODY_CHARACTERS]
        paragraphs = "".join(f"<p>{html.escape(part)}</p>" for part in text.split("\n\n") if part.strip())
        files: tuple[Attachment, ...] = ()
        if n % 10 == 9:
            files = (Attachment(f"photo-{n}.jpg", chosen.randbytes(FILE_BYTES), "image/jpeg"),)
        return Email(
            sender=Contact(chosen.choice(self._senders), f"Writer {n % 500}"),
            to=(self._recipient,),
            subject=chosen.choice(self._subjects),
            body=paragraphs,
            attachments=files,
            sent_at=_START + timedelta(minutes=n),
            message_id=f"<bench-{n}@example.org>",
        )


def _village() -> tuple[str, list[str], list[str]] | None:
    folder = shared_folder()
    if folder is None:
        return None
    texts: list[str] = []
    subjects: list[str] = []
    senders: list[str] = []
    for name in ("M", "L"):
        with gzip.open(folder / "mail" / "village" / f"{name}.jsonl.gz", "rt", encoding="utf-8") as lines:
            for line in lines:
                record = json.loads(line)
                if not record["html"]:
                    texts.append(record["body"])
                subjects.append(record["subject"] or "(no subject)")
                if record["from"]:
                    senders.append(record["from"])
    return "\n\n".join(texts), subjects, senders


def _made_up(chosen: random.Random) -> tuple[str, list[str], list[str]]:
    """60,000 words, the n-th as frequent as 1/n (Zipf), the commonest being ``COMMON_WORD``."""
    syllables = ["".join(pair) for pair in itertools.product("bdfgklmnprstvwz", ("a", "e", "i", "o", "u", "é", "ai"))]
    words = [COMMON_WORD, "a", "to", "of", "and"]
    words += ["".join(chosen.choices(syllables, k=chosen.randint(1, 4))) for _ in range(60_000)]
    weights = list(itertools.accumulate(1 / (rank + 1) for rank in range(len(words))))

    def sentence(length: int) -> str:
        picked = [words[bisect.bisect(weights, chosen.random() * weights[-1])] for _ in range(length)]
        return " ".join(picked).capitalize() + "."

    paragraphs = (" ".join(sentence(12) for _ in range(5)) for _ in range(6000))
    subjects = [sentence(5)[:-1] for _ in range(2000)]
    senders = [f"{words[n + 5]}{n}@example{n % 40}.org" for n in range(800)]
    return "\n\n".join(paragraphs), subjects, senders
