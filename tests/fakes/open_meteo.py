"""Open-Meteo's places and forecasts with state; answers follow https://open-meteo.com/en/docs and …/geocoding-api."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import jsonschema

from tests.fakes.web_server import Asked, FakeProvider, Said

_NUMBERS = {"type": "array", "items": {"type": ["number", "null"]}}
_TEXT = {"type": "string"}
PLACES = {
    "type": "object",
    "required": ["generationtime_ms"],
    "properties": {
        "generationtime_ms": {"type": "number"},
        "results": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "required": ["id", "name", "latitude", "longitude"],
                "properties": {
                    "id": {"type": "integer"},
                    "name": _TEXT,
                    "latitude": {"type": "number"},
                    "longitude": {"type": "number"},
                    "country": _TEXT,
                    "admin1": _TEXT,
                    "timezone": _TEXT,
                },
            },
        },
    },
}
FORECAST = {
    "type": "object",
    "required": ["latitude", "longitude", "timezone", "daily", "daily_units"],
    "properties": {
        "daily": {
            "type": "object",
            "required": ["time"],
            "properties": {"time": {"type": "array", "items": _TEXT}},
            "additionalProperties": _NUMBERS,
        },
        "daily_units": {"type": "object", "additionalProperties": _TEXT},
    },
}


class FakeOpenMeteo(FakeProvider):
    """``places`` by name; every place has the same weather from ``today`` on."""

    def __init__(self, today: date) -> None:
        super().__init__()
        self.today = today
        self.places = {"Mbandaka": (0.0487, 18.2603, "Equateur", "DR Congo")}

    def answer(self, asked: Asked) -> Said:
        if asked.path == "/v1/search":
            return self._search(asked.query["name"])
        assert asked.path == "/v1/forecast"
        assert asked.query["timezone"] == "auto"
        days = int(asked.query["forecast_days"])
        values: dict[str, list[Any]] = {
            "weather_code": [95, 0, 3, 61, 45, None, 80],
            "temperature_2m_min": [21.6, 22.0, 21.2, 20.9, 22.4, None, 21.0],
            "temperature_2m_max": [30.2, 31.7, 29.8, 27.1, 30.0, None, 28.6],
            "precipitation_sum": [14.3, 0.0, 0.2, 22.8, 0.0, None, 6.1],
        }
        daily: dict[str, list[Any]] = {"time": [str(self.today + timedelta(days=n)) for n in range(days)]}
        daily |= {name: values[name][:days] for name in asked.query["daily"].split(",")}
        said = {
            "latitude": float(asked.query["latitude"]),
            "longitude": float(asked.query["longitude"]),
            "timezone": "Africa/Kinshasa",
            "daily_units": dict.fromkeys(daily, "?"),
            "daily": daily,
        }
        jsonschema.validate(said, FORECAST)
        return Said(200, said)

    def _search(self, name: str) -> Said:
        said: dict[str, Any] = {"generationtime_ms": 0.4}
        found = [known for known in self.places if known.casefold() == name.casefold()]
        if found:
            latitude, longitude, admin1, country = self.places[found[0]]
            place = {"id": 2312895, "name": found[0], "latitude": latitude, "longitude": longitude}
            said["results"] = [place | {"admin1": admin1, "country": country, "timezone": "Africa/Kinshasa"}]
        jsonschema.validate(said, PLACES)
        return Said(200, said)
