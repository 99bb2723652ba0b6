"""Which services there are: our own, and those that installed packages name in the entry point group ``lokole.bots``."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import metadata
from typing import cast

from lokole.adapters.service.dictionary import make_dictionary
from lokole.adapters.service.echo import make_echo
from lokole.adapters.service.help import make_help
from lokole.adapters.service.weather import make_weather
from lokole.adapters.service.wikipedia import make_wikipedia
from lokole.ports.service import ENTRY_POINTS, MakeService

OWN: Mapping[str, MakeService] = {
    "help": make_help,
    "echo": make_echo,
    "wikipedia": make_wikipedia,
    "dictionary": make_dictionary,
    "weather": make_weather,
}


def find_service(name: str) -> MakeService | None:
    """What makes the service ``name``, or None; one of ours cannot be replaced. Raises what importing the package raises."""
    if name in OWN:
        return OWN[name]
    # only asked for a name that is not ours: reading what is installed takes its time
    for found in metadata.entry_points(group=ENTRY_POINTS, name=name):
        return cast(MakeService, found.load())
    return None
