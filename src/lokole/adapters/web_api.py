"""One provider's JSON API over HTTPS: what all drivers of such providers have in common.

Whatever may work later becomes :class:`Temporary`: no connection, no answer in time, 429, 5xx, an answer that is no JSON.
Every other status is the driver's to judge. No redirect is followed, so that a key goes to the address in the settings only,
and nothing of a request or an answer gets into an exception's text, where logs would find it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx2

from lokole.mail.errors import Temporary

#: seconds for one call in all: a person may be waiting for it
DEADLINE_SECONDS = 15.0
#: without a byte
IDLE_SECONDS = 5.0
MAX_ANSWER_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Answer:
    """What the provider said; ``content`` is the JSON of its body, None without one."""

    status: int
    headers: Mapping[str, str]
    content: Any

    @property
    def is_good(self) -> bool:
        return 200 <= self.status < 300


class WebApi:
    """The API of ``provider`` (its name for people) under ``base_url``; ``headers`` carry the key and go with each call.

    ``pause`` reads from an answer for how many seconds the provider wants to be left alone. A connection is kept when calls are ``often``.
    """

    def __init__(
        self,
        provider: str,
        base_url: str,
        headers: Mapping[str, str],
        *,
        deadline: float = DEADLINE_SECONDS,
        idle: float = IDLE_SECONDS,
        seconds: Callable[[], float] = time.monotonic,
        pause: Callable[[Mapping[str, str]], float | None] | None = None,
        often: bool = False,
    ) -> None:
        self.provider = provider
        self._base = base_url
        self._deadline = deadline
        self._seconds = seconds
        self._pause = pause or retry_after
        self._client = httpx2.Client(
            headers={**headers, "Accept": "application/json"},
            timeout=httpx2.Timeout(idle),
            # where calls are rare a connection kept would be found dead at the next one
            limits=httpx2.Limits(max_connections=100 if often else 10, max_keepalive_connections=20 if often else 0),
            follow_redirects=False,
        )

    def call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        content: bytes | None = None,
        headers: Mapping[str, str] | Sequence[tuple[str, str | bytes]] = (),
        wants_json: bool = True,
    ) -> Answer:
        """One call to ``path`` below the base, or to the base as it is; raises Temporary, with ``retry_after`` in seconds when the provider named it.

        ``body`` is sent as JSON, ``content`` as it is. Without ``wants_json`` nothing is made of the answer's body.
        """
        over = self._seconds() + self._deadline
        said_back = bytearray()
        try:
            with self._client.stream(
                method,
                f"{self._base.rstrip('/')}{path}" if path else self._base,
                params=query,
                json=body,
                content=content,
                headers=_pairs(headers),
            ) as response:
                for piece in response.iter_bytes():
                    said_back += piece
                    if len(said_back) > MAX_ANSWER_BYTES:
                        raise Temporary(f"{self.provider} said too much")
                    if self._seconds() > over:
                        raise Temporary(f"{self.provider} is too slow")
                status, said = response.status_code, response.headers
        except httpx2.HTTPError as error:
            raise Temporary(f"{self.provider} is out of reach: {type(error).__name__}") from error
        if status == 429 or status >= 500:
            raise Temporary(f"{self.provider} answered {status}", retry_after=self._pause(said))
        if 300 <= status < 400:
            raise Temporary(f"{self.provider} points elsewhere ({status}); is its address in the settings right?")
        return Answer(status, said, self._parsed(status, bytes(said_back)) if wants_json else None)

    def _parsed(self, status: int, content: bytes) -> Any:
        if not content.strip():
            return None
        try:
            return json.loads(content)
        except (ValueError, RecursionError) as error:
            if status >= 400:
                return None  # the status says enough
            raise Temporary(f"{self.provider} answered what is no JSON") from error


def _pairs(headers: Mapping[str, str] | Sequence[tuple[str, str | bytes]]) -> list[tuple[bytes, bytes]]:
    pairs = headers.items() if isinstance(headers, Mapping) else headers
    return [(name.encode(), text if isinstance(text, bytes) else text.encode()) for name, text in pairs]


def retry_after(headers: Mapping[str, str]) -> float | None:
    """How many seconds a provider wants to be left alone (RFC 9110 section 10.2.3), None when it says nothing that can be read."""
    said = headers.get("retry-after", "").strip()
    if said.isascii() and said.isdigit() and len(said) < 10:
        return float(said)
    try:
        at = parsedate_to_datetime(said)
    except ValueError:
        return None
    if at.tzinfo is None:
        at = at.replace(tzinfo=UTC)
    return max(0.0, (at - datetime.now(UTC)).total_seconds())


__all__ = ["Answer", "WebApi", "retry_after"]
