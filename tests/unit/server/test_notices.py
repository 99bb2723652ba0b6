"""What the server writes home is said in every language of the pages."""

from __future__ import annotations

from lokole.server import notices

LANGUAGES = {"en", "fr", "ln", "sw"}


def test_a_refusal_is_told_in_every_language_of_the_pages() -> None:
    assert set(notices._HOME) == LANGUAGES
    for words in notices.REASONS.values():
        assert set(words) == LANGUAGES
    for subject, body in notices._HOME.values():
        assert subject.format(subject="Goat").endswith("Goat")
        assert all(word in body for word in ("{subject}", "{recipient}", "{reason}"))


def test_what_the_other_side_said_stays_as_it_is_and_an_unknown_language_is_english() -> None:
    assert notices.reason_text("550 no such user", "sw") == "550 no such user"
    assert notices.reason_text("nobody", "sw").startswith("hakuna")
    assert notices.reason_text("nobody", "de") == "nobody there has this name."
