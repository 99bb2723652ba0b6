"""Row numbers as they come in addresses and forms: what no database can hold is no number."""

from __future__ import annotations

from typing import Any

from werkzeug.routing import IntegerConverter, Map

_LARGEST = 2**63 - 1  # BigInteger


class RowNumberConverter(IntegerConverter):
    """``<int:no>`` in a route: larger ones are an unknown address, not an error of the database."""

    def __init__(self, map: Map, *args: Any, **kwargs: Any) -> None:
        super().__init__(map, *args, **{"max": _LARGEST, **kwargs})


def row_number(text: str) -> int:
    """The number in a query or a form, for ``request.args.get(…, type=row_number)``; raises ValueError."""
    value = int(text) if text.isascii() and text.isdecimal() and len(text) < 20 else -1
    if not 0 <= value <= _LARGEST:
        raise ValueError("not the number of a row")
    return value
