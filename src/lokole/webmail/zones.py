"""Time zones as people find them: by the country where one of the languages of Lokole is spoken, nearest to the box first."""

from __future__ import annotations

from functools import lru_cache

from babel import Locale

#: countries by their ISO code, and the zones that differ within them; ordered as a map is read
_ZONES = (
    ("CD", "Africa/Kinshasa"),
    ("CD", "Africa/Lubumbashi"),
    ("CG", "Africa/Brazzaville"),
    ("CF", "Africa/Bangui"),
    ("CM", "Africa/Douala"),
    ("GA", "Africa/Libreville"),
    ("TD", "Africa/Ndjamena"),
    ("NE", "Africa/Niamey"),
    ("NG", "Africa/Lagos"),
    ("BJ", "Africa/Porto-Novo"),
    ("TG", "Africa/Lome"),
    ("GH", "Africa/Accra"),
    ("CI", "Africa/Abidjan"),
    ("BF", "Africa/Ouagadougou"),
    ("ML", "Africa/Bamako"),
    ("SN", "Africa/Dakar"),
    ("GM", "Africa/Banjul"),
    ("GN", "Africa/Conakry"),
    ("SL", "Africa/Freetown"),
    ("LR", "Africa/Monrovia"),
    ("AO", "Africa/Luanda"),
    ("ZM", "Africa/Lusaka"),
    ("MW", "Africa/Blantyre"),
    ("MZ", "Africa/Maputo"),
    ("ZW", "Africa/Harare"),
    ("BW", "Africa/Gaborone"),
    ("NA", "Africa/Windhoek"),
    ("ZA", "Africa/Johannesburg"),
    ("TZ", "Africa/Dar_es_Salaam"),
    ("KE", "Africa/Nairobi"),
    ("UG", "Africa/Kampala"),
    ("RW", "Africa/Kigali"),
    ("BI", "Africa/Bujumbura"),
    ("SS", "Africa/Juba"),
    ("ET", "Africa/Addis_Ababa"),
    ("SO", "Africa/Mogadishu"),
    ("DJ", "Africa/Djibouti"),
    ("KM", "Indian/Comoro"),
    ("MG", "Indian/Antananarivo"),
    ("MU", "Indian/Mauritius"),
    ("HT", "America/Port-au-Prince"),
    ("CA", "America/Toronto"),
    ("CA", "America/Vancouver"),
    ("FR", "Europe/Paris"),
    ("BE", "Europe/Brussels"),
    ("CH", "Europe/Zurich"),
    ("GB", "Europe/London"),
    ("IE", "Europe/Dublin"),
    ("US", "America/New_York"),
    ("US", "America/Los_Angeles"),
    ("IN", "Asia/Kolkata"),
)


@lru_cache(maxsize=32)
def choices(language: str) -> list[tuple[str, str]]:
    """``(zone, "Country")``, or "City, Country" where a country has several times, so that a narrow field shows what differs.

    Sorted by the country's name in ``language``; UTC last.
    """
    territories = Locale.parse(language).territories
    countries = [country for country, _zone in _ZONES]
    found = []
    for country, zone in _ZONES:
        name = territories.get(country, country)
        several = countries.count(country) > 1
        found.append((name, zone, f"{_city(zone)}, {name}" if several else name))
    return [*((zone, words) for _name, zone, words in sorted(found)), ("UTC", "UTC")]


def _city(zone: str) -> str:
    return zone.rpartition("/")[2].replace("_", " ")
