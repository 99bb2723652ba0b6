"""The list that Debian's package ``mobile-broadband-provider-info`` brings: one XML file (its format stands in ``serviceproviders.2.dtd``).

Read anew for each question, country by country, so that its third of a megabyte never stands in memory; only the codes are kept.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from xml.etree.ElementTree import Element, ParseError, iterparse

from lokole.mail.access_point import AccessPoint
from lokole.mail.errors import Refused

log = logging.getLogger(__name__)

#: these carry picture messages or belong to the network itself
_NOT_THE_INTERNET = frozenset({"mms", "ia"})
_MAX_BYTES = 20_000_000
_LANGUAGE = "{http://www.w3.org/XML/1998/namespace}lang"


class ServiceProviders:
    """Implements :class:`lokole.ports.mobile_networks.MobileNetworks` over the file ``path``."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._codes: tuple[tuple[int, int], tuple[str, ...]] | None = None

    def countries(self) -> tuple[str, ...]:
        try:
            found = self._path.stat()
        except OSError:
            return ()
        state = (found.st_mtime_ns, found.st_size)
        if self._codes is None or self._codes[0] != state:
            self._codes = (state, tuple(dict.fromkeys(code for code, _country in self._read())))
        return self._codes[1]

    def networks(self, country: str) -> tuple[str, ...]:
        return tuple(dict.fromkeys(point.network for point in self._points(country)))

    def access_points(self, country: str, network: str) -> tuple[AccessPoint, ...]:
        return tuple(point for point in self._points(country) if point.network == network)

    def _points(self, wanted: str) -> Iterator[AccessPoint]:
        for code, country in self._read():
            if code == wanted:
                for provider in country.iterfind("provider"):
                    yield from _of_provider(code, provider)
                return

    def _read(self) -> Iterator[tuple[str, Element]]:
        """Each country; what follows a mistake in the file is left out."""
        try:
            if self._path.stat().st_size > _MAX_BYTES:
                return
            with self._path.open("rb") as file:
                # a file of the system's, which the parser reads without fetching what it names
                for _event, element in iterparse(file):  # noqa: S314
                    if element.tag == "country":
                        yield element.get("code", "").lower(), element
                        element.clear()
        except OSError:
            return
        except (ParseError, ValueError, LookupError) as error:
            log.warning("the list of mobile networks cannot be read: %s", error)


def _of_provider(code: str, provider: Element) -> Iterator[AccessPoint]:
    network = _name(provider)
    if not network:
        return
    for apn in provider.iterfind("gsm/apn"):
        usage, plan = apn.find("usage"), apn.find("plan")
        if usage is not None and usage.get("type") in _NOT_THE_INTERNET:
            continue
        try:
            yield AccessPoint(
                apn=apn.get("value", "").strip(),
                username=_text(apn, "username"),
                password=_text(apn, "password"),
                country=code,
                network=network,
                name=_name(apn),
                plan=plan.get("type", "") if plan is not None else "",
            )
        except Refused:
            continue  # no modem could be told this


def _name(element: Element) -> str:
    """The name without a language, else the first."""
    names = element.findall("name")
    plain = [name for name in names if name.get(_LANGUAGE) is None] or names
    return " ".join((plain[0].text or "").split()) if plain else ""


def _text(element: Element, tag: str) -> str:
    return (element.findtext(tag) or "").strip()
