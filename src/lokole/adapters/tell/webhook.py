"""Tells a chat room, or whatever listens, by a POST of JSON; ``text`` is the field that chat services show."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lokole.adapters.web_api import WebApi
from lokole.mail.errors import Permanent


class WebhookTell:
    """``url`` is the whole address, which often is the secret too."""

    def __init__(self, url: str) -> None:
        self._api = WebApi("the webhook", url, {})

    def __call__(self, said: Mapping[str, Any]) -> None:
        """Post ``said``; raises Temporary, or Permanent when it is refused for good."""
        answer = self._api.call("POST", "", body=dict(said), wants_json=False)
        if not answer.is_good:
            raise Permanent(f"the webhook answered {answer.status}")
