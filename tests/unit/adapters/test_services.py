"""What the services that come with the server answer, against fakes with state."""

from __future__ import annotations

import sys
from datetime import timedelta
from pathlib import Path

import pytest

from lokole.adapters.service.asking import read_wanted
from lokole.adapters.service.known import find_service
from lokole.mail.html import html_to_text
from lokole.ports.service import Answer
from tests.contracts.test_services import World, ask, world
from tests.fakes.wikimedia import Page

__all__ = ["world"]


def answer(world: World, name: str, subject: str, body: str = "", language: str = "en") -> Answer:
    found = world.made[name].answer(ask(subject, body, language))
    assert found is not None
    return found


def test_an_article_comes_in_the_language_of_the_subject(world: World) -> None:
    world.wiki.add("fr", Page("Eau", "<p>L’<b>eau</b> est mouillée.</p>"), "Flotte")
    for subject, body in (("fr", "Eau"), ("français", "eau"), ("fr: eau", ""), ("Re: fr: Flotte", "Ann")):
        found = answer(world, "wikipedia", subject, body)
        assert found.subject == "Eau"
        assert "<b>eau</b> est" in found.body
        assert "fr.wikipedia.org/wiki/Eau, CC BY-SA 4.0" in found.body
        assert found.valid_for is None
    assert "L’eau est mouillée." in html_to_text(answer(world, "wikipedia", "fr", "Eau").body)


def test_without_a_language_it_is_the_writers_own_and_then_the_next(world: World) -> None:
    world.wiki.add("fr", Page("Fleuve", "<p>long</p>"))
    assert "wikipedia.org/wiki/Fleuve" in answer(world, "wikipedia", "fleuve", language="ln").body
    world.wiki.add("ln", Page("Fleuve", "<p>molai</p>"))
    assert "molai" in answer(world, "wikipedia", "fleuve", language="ln").body


def test_when_nothing_has_that_name_there_are_suggestions_and_when_nothing_fits_a_sentence(world: World) -> None:
    world.wiki.add("en", Page("Congo River", description="river in Africa"))
    found = answer(world, "wikipedia", "river")
    assert found.subject == "river?"
    assert "<b>Congo River</b>: river in Africa" in found.body
    nothing = answer(world, "wikipedia", "qqq <x>", language="fr")
    assert nothing.subject == "Rien trouvé : qqq <x>"
    assert "&lt;x&gt;" in nothing.body


def test_a_word_of_several_meanings_names_them(world: World) -> None:
    world.wiki.add("en", Page("Congo", "<p>may mean</p>", means=("Congo River", "DR Congo")))
    assert "<li><b>Congo River</b></li><li><b>DR Congo</b></li>" in answer(world, "wikipedia", "congo").body


def test_a_pdf_comes_when_asked_for_and_small_enough(world: World) -> None:
    found = answer(world, "wikipedia", "Water pdf")
    (file,) = found.attachments
    assert (file.filename, file.type, file.content[:5]) == ("Water.pdf", "application/pdf", b"%PDF-")
    assert "Wet" not in found.body
    for pdf in (None, b"%PDF-" + bytes(2_000)):
        world.wiki.add("en", Page("Water", "<p>Wet.</p>", pdf=pdf))
        found = answer(world, "wikipedia", "Water PDF")
        assert found.attachments == ()
        assert "no PDF" in found.body
        assert "Wet" in found.body


def test_a_long_article_ends_within_the_budget_and_says_so(world: World) -> None:
    world.wiki.add("en", Page("Long", "<p>" + "word " * 60 + "</p>" + "<p>more words here</p>" * 2_000))
    found = answer(world, "wikipedia", "long")
    assert len(found.body.encode()) < 4_300
    assert "this is the beginning" in found.body


def test_the_dictionary_looks_the_word_up_and_shares_it(world: World) -> None:
    world.wiki.add("en", Page("Water", "<h2>Noun</h2><p>A liquid.</p>"), "water")
    found = answer(world, "dictionary", "Water")
    assert (found.subject, found.valid_for) == ("Word: Water", timedelta(days=30))
    service = world.made["dictionary"]
    assert service.shared_key(ask("Water")) == service.shared_key(ask("re: water"))
    assert service.shared_key(ask("water")) != service.shared_key(ask("fr: water"))
    assert answer(world, "dictionary", "qqq").valid_for is None


def test_the_weather_has_a_line_for_each_day(world: World) -> None:
    found = answer(world, "weather", "mbandaka", language="fr")
    assert (found.subject, found.valid_for) == ("Météo : Mbandaka, Equateur, DR Congo", timedelta(hours=24))
    assert html_to_text(found.body).splitlines()[2:5] == [
        "- 01.03.: 22–30 °C, orage, 14 mm",
        "- 02.03.: 22–32 °C, clair",
        "- 03.03.: 21–30 °C, nuageux",
    ]
    service = world.made["weather"]
    assert service.shared_key(ask("Mbándaka ")) == service.shared_key(ask("mbandaka"))
    nowhere = answer(world, "weather", "Atlantis")
    assert nowhere.valid_for is None
    assert "Atlantis" in nowhere.body


def test_help_names_every_service_that_is_on(world: World) -> None:
    body = answer(world, "help", "", language="sw").body
    assert all(f"<b>{name}@bot.lokole.ca</b>: " in body for name in world.made)
    assert "Andika" in body


@pytest.mark.parametrize(
    ("subject", "text", "languages", "terms", "pdf"),
    [
        ("sw", "maji", ("sw",), ("maji",), False),
        ("sw pdf", "maji", ("sw",), ("maji",), True),
        ("war", "", ("en",), ("war",), False),  # also a code, and nothing else is there to look for
        ("hello", "malaria", ("en",), ("hello", "malaria"), False),
        ("", "\n malaria pdf\n\nAnn", ("en",), ("malaria",), True),
    ],
)
def test_what_is_asked_is_read_as_the_first_lokole_read_it(
    subject: str, text: str, languages: tuple[str, ...], terms: tuple[str, ...], pdf: bool
) -> None:
    question = ask(subject, text.replace("\n", "<br>"))
    wanted = read_wanted(question)
    assert (wanted.languages, wanted.terms, wanted.pdf) == (languages, terms, pdf)


def test_a_package_brings_a_service_by_an_entry_point(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "market_prices.py").write_text("def make(surroundings):\n    return surroundings\n")
    info = tmp_path / "market_prices-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: market-prices\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[lokole.bots]\nprices = market_prices:make\necho = market_prices:make\n")
    assert find_service("prices") is None
    monkeypatch.syspath_prepend(str(tmp_path))
    make = find_service("prices")
    assert make is not None
    assert make.__module__ == "market_prices"
    own = find_service("echo")
    assert own is not None
    assert own.__module__.startswith("lokole.")  # ours cannot be replaced
    sys.modules.pop("market_prices")
