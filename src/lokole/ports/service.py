"""A service: an automatic correspondent, such as echo or an encyclopedia. ``docs/bots.md`` says how to write one.

A service is asked by people of boxes and answers them; what surrounds it (``server/answering.py``) sees to everything else:
who may ask and how often, that there is one answer and that it gets home once, that markup is safe, that nobody is left without a word.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from lokole.mail.model import Attachment, Email
from lokole.ports.callables import Clock
from lokole.ports.fetch import Fetch

#: where packages name their services: ``NAME = "package.module:make"``, a :data:`MakeService`
ENTRY_POINTS = "lokole.bots"


@dataclass(frozen=True, slots=True)
class Question:
    """A letter to a service.

    ``letter`` is the letter as it came, its markup safe, without its files, of which ``files`` has the names.
    ``text`` is what its writer wrote in it as plain text: no quotation, no signature.
    ``language`` is the one in which they read the pages (a code such as ``fr``), ``en`` where it is not known.
    """

    letter: Email
    text: str
    language: str
    files: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back; ``body`` is markup, made safe before it is stored.

    ``valid_for`` is how long the answer to a question with a :meth:`Service.shared_key` hangs on the board of the box;
    None: it is for whoever has asked, such as “there is no such place”.
    """

    subject: str
    body: str
    attachments: tuple[Attachment, ...] = ()
    valid_for: timedelta | None = None


class Service(Protocol):
    """Answers letters to ``NAME@`` the domain of services. Called from several threads, and again when an answer was lost."""

    def about(self, language: str) -> str:
        """What it does and how to ask, in one or two plain sentences."""

    def shared_key(self, question: Question) -> str | None:
        """The same text for questions that have the same answer for everybody, language included; None when the answer is for one person.

        Then the first answer hangs on the board of that box, and who asks the same while it hangs is told so. Must not fetch.
        """

    def answer(self, question: Question) -> Answer | None:
        """The answer, or None when nothing is to be said.

        May raise Temporary (the question is asked again later, for some hours) and Permanent (its writer is told at once that it does not work).
        """


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a service is given when it is made; it opens no connection but through ``fetch``.

    ``address`` is its own address; ``urls`` are base addresses that the operator has set, by a key that the service chooses.
    ``max_bytes`` is what an answer's markup should not exceed, ``max_file_bytes`` its files. ``services`` are all that are on, by name.
    """

    address: str
    clock: Clock
    fetch: Fetch
    urls: Mapping[str, str]
    max_bytes: int
    max_file_bytes: int
    services: Callable[[], Mapping[str, Service]]


MakeService = Callable[[Surroundings], Service]


def in_language(texts: Mapping[str, str], language: str) -> str:
    """The text in ``language`` (``fr-CD`` reads ``fr``), in English where there is none; ``texts`` has ``en``."""
    return texts.get(language.partition("-")[0], texts["en"])
