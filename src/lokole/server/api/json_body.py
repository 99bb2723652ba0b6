"""The body of an operation that Connexion validates, read as RFC 8259 says: JSON is UTF-8, whatever else a header claims.

Connexion's own reader fails on bytes that are no text, on numbers of thousands of digits and on nesting without end,
with an error that quotes the body; here all of that is one answer, which quotes nothing.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

from connexion.datastructures import MediaTypeDict
from connexion.exceptions import BadRequestProblem
from connexion.validators import JSONRequestBodyValidator


class JsonBody(JSONRequestBodyValidator):  # type: ignore[misc]  # Connexion ships no types
    """Connexion's validator of JSON, which calls this for the text only."""

    async def _parse(self, stream: AsyncIterator[bytes], scope: object) -> Any:
        body = b"".join([piece async for piece in stream])
        if not body:
            return None
        try:
            said = json.loads(body.decode("utf-8"))
            # "\ud800" alone is half a letter, which nothing behind can write down
            json.dumps(said, ensure_ascii=False).encode("utf-8")
        except (ValueError, RecursionError):
            raise BadRequestProblem(detail="the body is no JSON in UTF-8") from None
        return said


#: what :class:`connexion.AsyncApp` takes as ``validator_map``
VALIDATORS = {"body": MediaTypeDict({"*/*json": JsonBody})}
