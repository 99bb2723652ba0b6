"""``help@``: which services there are and how each is asked."""

from __future__ import annotations

import html

from lokole.ports.service import Answer, Question, Service, Surroundings, in_language

# Lingala and Swahili are drafts for native readers, as the catalogues of the pages are
_ABOUT = {
    "en": "Lists the services and how to ask them.",
    "fr": "Énumère les services et dit comment les interroger.",
    "ln": "Elakisaka basalisi nyonso mpe ndenge ya kotuna bango.",
    "sw": "Huorodhesha huduma na jinsi ya kuziuliza.",
}
_SUBJECT = {
    "en": "What you can write to",
    "fr": "À qui vous pouvez écrire",
    "ln": "Banani okoki kokomela",
    "sw": "Unaweza kuandikia nani",
}
_HEAD = {
    "en": "Write a letter to one of these addresses. A machine answers, and the answer comes with the next exchange.",
    "fr": "Écrivez une lettre à l’une de ces adresses. Une machine répond, et la réponse vient avec le prochain échange.",
    "ln": "Koma mokanda na adresse moko ya oyo. Masini eyanolaka, mpe eyano ekoya na kokutana oyo ekolanda.",
    "sw": "Andika barua kwa mojawapo ya anwani hizi. Mashine hujibu, na jibu huja na mawasiliano yajayo.",
}


class Help:
    """Answers every letter with the list."""

    def __init__(self, surroundings: Surroundings) -> None:
        self._around = surroundings

    def about(self, language: str) -> str:
        return in_language(_ABOUT, language)

    def shared_key(self, question: Question) -> str | None:
        return None

    def answer(self, question: Question) -> Answer | None:
        domain = self._around.address.partition("@")[2]
        language = question.language
        items = "".join(
            f"<li><b>{html.escape(f'{name}@{domain}')}</b>: {html.escape(service.about(language), quote=False)}</li>"
            for name, service in self._around.services().items()
        )
        head = html.escape(in_language(_HEAD, language), quote=False)
        return Answer(in_language(_SUBJECT, language), f"<p>{head}</p><ul>{items}</ul>")


def make_help(surroundings: Surroundings) -> Service:
    """The service."""
    return Help(surroundings)
