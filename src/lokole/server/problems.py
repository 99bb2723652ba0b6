"""Errors as programs read them: problem details (RFC 9457) with a stable ``code`` and the ``field`` that is wrong.

The one table from the project's error types to status codes stands here.
"""

from __future__ import annotations

import http
import json
from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from lokole.mail.errors import BadPackage, LokoleError, NotFound, Permanent, Refused, Temporary
from lokole.mailbox.tenants import WrongCounter

MEDIA_TYPE = "application/problem+json"

#: Codes of Refused that mean something else than 400.
_STATUS_OF_CODE = {
    "authorization": 401,
    "signature": 401,
    "unknown-device": 403,
    "revoked": 403,
    "foreign": 403,
    "not-yours": 403,
    "unsigned": 403,
    "team": 403,
    "owner": 404,
    "exists": 409,
    "given-up": 409,
    "key": 409,
    "counter": 409,
    "seq": 409,
    "check": 409,
    "offset": 409,
    "too-large": 413,
    "media-type": 415,
    "range": 416,
    "too-many": 429,
}


class Problem(Exception):
    """An answer that is an error, ready to be sent; ``further`` are members and ``headers`` headers of its own."""

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        code: str | None = None,
        field: str | None = None,
        headers: Mapping[str, str] | None = None,
        **further: Any,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.body: dict[str, Any] = {"title": _title(status), "status": status, "detail": detail}
        if code is not None:
            self.body["code"] = code
        if field is not None:
            self.body["field"] = field
        self.body.update(further)
        self.headers = dict(headers or {})
        if status == 401:
            self.headers.setdefault("WWW-Authenticate", 'Basic realm="lokole", charset="UTF-8"')

    def response(self) -> Response:
        """The HTTP answer."""
        return Response(json.dumps(self.body), self.status, headers=self.headers, media_type=MEDIA_TYPE)


class Words(Exception):
    """An error in the words that a box of the first Lokole knows: a JSON text instead of a problem."""

    def __init__(self, status: int, words: str) -> None:
        super().__init__(words)
        self.status = status
        self.words = words

    def response(self) -> Response:
        """The HTTP answer."""
        return Response(json.dumps(self.words), self.status, media_type="application/json")


def problem_of(error: Exception) -> Problem | Words:
    """What a program is told about ``error``; of anything that is not ours only that it happened."""
    match error:
        case Problem() | Words():
            return error
        case WrongCounter():
            return Problem(409, str(error), code="counter", field="counter", counter=error.counter)
        case Refused():
            status = _STATUS_OF_CODE.get(error.code, 400)
            return Problem(status, str(error), code=error.code, field=error.field)
        case NotFound():
            return Problem(404, str(error), code="not-found")
        case BadPackage():
            return Problem(400, str(error), code="bad-package")
        case Temporary():
            seconds = max(1, round(error.retry_after)) if error.retry_after is not None else 60
            return Problem(503, "try again later", code="temporary", headers={"Retry-After": str(seconds)})
        case Permanent() | LokoleError():
            return Problem(502, "the other side refused it", code="permanent")
    return Problem(500, "something went wrong here", code="fault")


def _title(status: int) -> str:
    try:
        return http.HTTPStatus(status).phrase
    except ValueError:
        return "Error"
