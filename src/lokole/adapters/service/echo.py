"""``echo@``: says the same back, so that somebody new sees a letter go and come; files stay where they are, to spare the line."""

from __future__ import annotations

import html

from lokole.ports.service import Answer, Question, Service, Surroundings, in_language

# Lingala and Swahili are drafts for native readers, as the catalogues of the pages are
_ABOUT = {
    "en": "Sends your letter back to you. Good for a first try.",
    "fr": "Vous renvoie votre lettre. Utile pour un premier essai.",
    "ln": "Ezongisaka mokanda na yo epai na yo. Malamu mpo na komeka mbala ya liboso.",
    "sw": "Inakurudishia barua yako. Inafaa kwa jaribio la kwanza.",
}
_FILES = {
    "en": "Files came too, and were not sent back: {files}",
    "fr": "Des fichiers sont arrivés aussi et n’ont pas été renvoyés : {files}",
    "ln": "Bafisie mpe ekomaki, kasi ezongisami te: {files}",
    "sw": "Faili pia zilifika, na hazikurudishwa: {files}",
}


class Echo:
    """Answers each letter with itself."""

    def about(self, language: str) -> str:
        return in_language(_ABOUT, language)

    def shared_key(self, question: Question) -> str | None:
        return None

    def answer(self, question: Question) -> Answer | None:
        body = question.letter.body
        if question.files:
            note = in_language(_FILES, question.language).format(files=", ".join(question.files))
            body += f"<p>{html.escape(note, quote=False)}</p>"
        return Answer(question.letter.subject, body)


def make_echo(surroundings: Surroundings) -> Service:
    """The service."""
    return Echo()
