"""For the people who look after the box: a module for each screen."""

from lokole.webmail.views.admin import (
    board,
    card,
    exchange,
    first,
    kept_apart,
    limits,
    log,
    mobile,
    modem,
    overview,
    people,
    person,
    place,
    registration,
    storage,
    update,
)
from lokole.webmail.views.admin.desk import blueprint

__all__ = [
    "blueprint",
    "board",
    "card",
    "exchange",
    "first",
    "kept_apart",
    "limits",
    "log",
    "mobile",
    "modem",
    "overview",
    "people",
    "person",
    "place",
    "registration",
    "storage",
    "update",
]
