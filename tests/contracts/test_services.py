"""What every service promises; a package with a service of its own runs this over it too."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from lokole.adapters.fetch.http import HttpFetch
from lokole.adapters.service.known import OWN
from lokole.mail.errors import LokoleError
from lokole.mail.html import html_to_text, make_safe
from lokole.mail.model import Contact, Email
from lokole.ports.fetch import Fetched
from lokole.ports.service import Answer, Question, Service, Surroundings
from tests.fakes.open_meteo import FakeOpenMeteo
from tests.fakes.web_server import HANG_UP, NONSENSE, FakeProvider, Said
from tests.fakes.wikimedia import FakeWikimedia, Page
from tests.unit.server.place import NOON

LANGUAGES = ("en", "fr", "ln", "sw")


class World:
    """Services among fakes, and how often they fetched."""

    def __init__(self, wiki: FakeWikimedia, weather: FakeOpenMeteo) -> None:
        self.wiki, self.weather = wiki, weather
        self.fetched = 0
        self.made: dict[str, Service] = {}
        urls = {"wikipedia": wiki.base, "dictionary": wiki.base, "weather": weather.url, "places": weather.url}
        http = HttpFetch(user_agent="lokole/1 (test)", trusted=urls.values(), deadline=2, idle=0.5)

        def fetch(url: str, *, accept: str = "*/*", max_bytes: int = 4_000_000) -> Fetched:
            self.fetched += 1
            return http(url, accept=accept, max_bytes=max_bytes)

        for name, make in OWN.items():
            address = f"{name}@bot.lokole.ca"
            self.made[name] = make(Surroundings(address, lambda: NOON, fetch, urls, 4_000, 1_000, lambda: self.made))

    @property
    def providers(self) -> list[FakeProvider]:
        return [self.wiki, self.weather]


@pytest.fixture
def world() -> Iterator[World]:
    with FakeWikimedia() as wiki, FakeOpenMeteo(NOON.date()) as weather:
        wiki.add("en", Page("Water", "<p>Wet.</p>"))
        yield World(wiki, weather)


def ask(subject: str, body: str = "", language: str = "en") -> Question:
    letter = Email(Contact("ann@a.lokole.test"), (Contact("x@bot.lokole.ca"),), subject=subject, body=make_safe(body))
    return Question(letter, html_to_text(letter.body), language)


ODD = ["", "Re: ", "water", "pdf", "fr", "fr: ", "<b>&", "../../etc/passwd", "//evil.example/", "a\r\nHost: evil", "\x00", "x" * 5000, "水", "{language}", "%00%2e", "?q=1#x", "en: en: en:"]  # fmt: skip


@pytest.mark.parametrize("name", list(OWN))
class TestEveryService:
    def test_it_says_in_every_language_how_to_ask(self, name: str, world: World) -> None:
        about = {language: world.made[name].about(language) for language in (*LANGUAGES, "xx", "fr-CD")}
        assert len({about[language] for language in LANGUAGES}) == len(LANGUAGES)
        assert (about["xx"], about["fr-CD"]) == (about["en"], about["fr"])
        assert all(0 < len(text) < 400 for text in about.values())

    @pytest.mark.parametrize("subject", ODD)
    def test_whatever_is_written_has_an_answer_within_bounds(self, name: str, world: World, subject: str) -> None:
        service = world.made[name]
        for question in (ask(subject), ask("", subject), ask(subject, subject, "ln")):
            before = world.fetched
            key = service.shared_key(question)
            assert world.fetched == before
            assert key == service.shared_key(question)
            answer = service.answer(question)
            assert isinstance(answer, Answer)
            assert len(make_safe(answer.body).encode()) < 4 * 4_000 + len(subject) * 6
            assert sum(len(one.content) for one in answer.attachments) <= 1_000
            assert answer.valid_for is None or (key is not None and answer.valid_for <= timedelta(days=30))
        hosts = {asked.headers["host"] for one in world.providers for asked in one.asked}
        assert hosts <= {one.url.removeprefix("http://") for one in world.providers}

    @pytest.mark.parametrize(
        "trouble",
        [HANG_UP, NONSENSE, Said(500), Said(429), Said(200, b"[]"), Said(200, b'{"results": [{}], "pages": 5}'), Said(200, b""),
         Said(418, b"{"), Said(302, None, {"Location": "https://evil.example/"})],
    )  # fmt: skip
    def test_a_provider_that_is_down_or_talks_nonsense_is_an_error_of_ours_and_no_answer(
        self, name: str, world: World, trouble: Said
    ) -> None:
        for one in world.providers:
            one.troubles = [trouble] * 20
        try:
            answer = world.made[name].answer(ask("Mbandaka"))
        except LokoleError:
            return
        assert answer is not None
        assert world.fetched == 0 or answer.valid_for is None  # what was not understood never hangs anywhere
