"""``weather@``: the days to come at a place, from Open-Meteo; the answer hangs on the board of the box for a day.

https://open-meteo.com/en/docs and https://open-meteo.com/en/docs/geocoding-api; its weather codes are those of WMO table 4677.
"""

from __future__ import annotations

import html
import json
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any
from urllib.parse import urlencode

from lokole.adapters.service.asking import read_wanted
from lokole.adapters.service.finding import folded
from lokole.mail.errors import Temporary
from lokole.ports.fetch import Fetch
from lokole.ports.service import Answer, Question, Service, Surroundings, in_language

FORECASTS = "https://api.open-meteo.com"
PLACES = "https://geocoding-api.open-meteo.com"
_VALID = timedelta(hours=24)
_DAYS = 7
_DAILY = ("weather_code", "temperature_2m_min", "temperature_2m_max", "precipitation_sum")
# Lingala and Swahili are drafts for native readers, as the catalogues of the pages are
_ABOUT = {
    "en": "Tells the weather of the coming days. Write the name of a place as the subject, such as “Mbandaka”. The answer hangs on the board for all.",
    "fr": "Dit le temps des prochains jours. Écrivez le nom d’un lieu comme objet, par exemple « Mbandaka ». La réponse est affichée au tableau pour tous.",
    "ln": "Eyebisaka ndenge mopepe ekozala na mikolo ezali koya. Koma kombo ya esika na esika ya motó ya likambo, lokola “Mbandaka”. Eyano etyamaka na etanda mpo na bato nyonso.",
    "sw": "Hueleza hali ya hewa ya siku zijazo. Andika jina la mahali kama mada, kwa mfano “Mbandaka”. Jibu huwekwa kwenye ubao kwa wote.",
}
_SUBJECT = {
    "en": "Weather: {place}",
    "fr": "Météo : {place}",
    "ln": "Mopepe: {place}",
    "sw": "Hali ya hewa: {place}",
}
_NO_PLACE = {
    "en": "No place is called “{term}”. Look at how it is written, or name a larger place nearby.",
    "fr": "Aucun lieu ne s’appelle « {term} ». Vérifiez l’orthographe ou nommez un lieu plus grand à proximité.",
    "ln": "Esika moko te ezali na kombo “{term}”. Tala soki ekomami malamu, to tanga esika monene pene na yango.",
    "sw": "Hakuna mahali panapoitwa “{term}”. Angalia tahajia, au taja mahali pakubwa zaidi karibu.",
}
_SKIES = {
    "clear": {"en": "clear", "fr": "clair", "ln": "likoló ya pɛto", "sw": "anga safi"},
    "clouds": {"en": "clouds", "fr": "nuageux", "ln": "mapata", "sw": "mawingu"},
    "fog": {"en": "fog", "fr": "brouillard", "ln": "londende", "sw": "ukungu"},
    "rain": {"en": "rain", "fr": "pluie", "ln": "mbula", "sw": "mvua"},
    "snow": {"en": "snow", "fr": "neige", "ln": "neige", "sw": "theluji"},
    "storm": {"en": "thunderstorm", "fr": "orage", "ln": "mbula ya nkake", "sw": "mvua ya radi"},
}


@dataclass(frozen=True, slots=True)
class _Place:
    name: str
    latitude: float
    longitude: float


class Weather:
    """Answers with a line for each day."""

    def __init__(self, surroundings: Surroundings) -> None:
        self._fetch: Fetch = surroundings.fetch
        self._forecasts = surroundings.urls.get("weather", FORECASTS).rstrip("/")
        self._places = surroundings.urls.get("places", PLACES).rstrip("/")

    def about(self, language: str) -> str:
        return in_language(_ABOUT, language)

    def shared_key(self, question: Question) -> str | None:
        wanted = read_wanted(question)
        return f"{question.language} {folded(wanted.terms[0])}" if wanted.terms else None

    def answer(self, question: Question) -> Answer | None:
        language, terms = question.language, read_wanted(question).terms
        if not terms:
            return Answer(_subject(language, "?"), _paragraph(self.about(language)))
        place = self._find(terms[0], language)
        if place is None:
            text = in_language(_NO_PLACE, language).format(term=terms[0])
            return Answer(_subject(language, terms[0]), _paragraph(text))
        lines = self._forecast(place, language)
        items = "".join(f"<li>{html.escape(line, quote=False)}</li>" for line in lines)
        body = f"{_paragraph(place.name)}<ul>{items}</ul><p><small>Open-Meteo.com, CC BY 4.0</small></p>"
        return Answer(_subject(language, place.name), body, valid_for=_VALID)

    def _find(self, name: str, language: str) -> _Place | None:
        query = {"name": name, "count": "1", "language": language.partition("-")[0], "format": "json"}
        found = self._ask(f"{self._places}/v1/search?{urlencode(query)}")
        try:
            results = found.get("results") or []
            if not results:
                return None
            first = results[0]
            words = (first["name"], first.get("admin1"), first.get("country"))
            name = ", ".join(dict.fromkeys(str(one) for one in words if one))
            return _Place(name[:120], float(first["latitude"]), float(first["longitude"]))
        except (AttributeError, KeyError, IndexError, TypeError, ValueError) as error:
            raise Temporary("the answer with places cannot be read") from error

    def _forecast(self, place: _Place, language: str) -> list[str]:
        query = {
            "latitude": f"{place.latitude:.4f}",
            "longitude": f"{place.longitude:.4f}",
            "daily": ",".join(_DAILY),
            "timezone": "auto",
            "forecast_days": str(_DAYS),
        }
        found = self._ask(f"{self._forecasts}/v1/forecast?{urlencode(query)}")
        try:
            daily = found["daily"]
            columns = [daily[name] for name in _DAILY]
            days = [date.fromisoformat(day) for day in daily["time"]]
            rows = zip(days, *columns, strict=True)
            return [_line(day, code, low, high, rain, language) for day, code, low, high, rain in rows][:_DAYS]
        except (KeyError, TypeError, ValueError) as error:
            raise Temporary("the forecast cannot be read") from error

    def _ask(self, url: str) -> Any:
        found = self._fetch(url, accept="application/json", max_bytes=256 * 1024)
        try:
            if found.is_good:
                return json.loads(found.content)
        except (ValueError, RecursionError) as error:
            raise Temporary("the answer is no JSON") from error
        raise Temporary(f"the weather service answered {found.status}")


def _line(day: date, code: Any, low: Any, high: Any, rain: Any, language: str) -> str:
    parts = []
    if low is not None and high is not None:
        parts.append(f"{float(low):.0f}–{float(high):.0f} °C")
    if code is not None:
        parts.append(in_language(_SKIES[_sky(int(code))], language))
    if rain is not None and float(rain) >= 0.5:
        parts.append(f"{float(rain):.0f} mm")
    return f"{day:%d.%m.}: {', '.join(parts)}"


def _sky(code: int) -> str:
    if code >= 95:
        return "storm"
    if 71 <= code <= 77 or code in (85, 86):
        return "snow"
    if code >= 51:
        return "rain"
    if code >= 45:
        return "fog"
    return "clouds" if code >= 2 else "clear"


def _subject(language: str, place: str) -> str:
    return in_language(_SUBJECT, language).format(place=place)


def _paragraph(text: str) -> str:
    return f"<p>{html.escape(text, quote=False)}</p>"


def make_weather(surroundings: Surroundings) -> Service:
    """The service."""
    return Weather(surroundings)
