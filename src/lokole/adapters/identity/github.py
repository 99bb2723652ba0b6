"""Who is calling, as GitHub knows them: a member of an organisation, or of a team of it.

A token is shown to GitHub's GraphQL API (viewer, then ``Organization.teams``), never kept: what GitHub said is remembered
for :data:`REMEMBER_SECONDS` under the token's SHA-256, so that a page that asks ten things asks GitHub once,
and a token that was taken back is worth nothing a minute later.
A person's name here is ``github:`` and their login, so that no login can be taken for the operator of the settings.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from lokole.adapters.web_api import WebApi, retry_after
from lokole.mail.errors import Refused, Temporary
from lokole.ports.identity import Caller, Identity

PREFIX = "github:"
REMEMBER_SECONDS = 60.0
_MOST_REMEMBERED = 1_000
#: of a hundred teams each
_MOST_PAGES = 20

#: kinds of errors that say no to this person, and not "later"
_CLOSED = {"NOT_FOUND", "FORBIDDEN", "INSUFFICIENT_SCOPES"}

WHO = "query Who { viewer { login } }"
TEAMS = """query Teams($organization: String!, $logins: [String!], $after: String) {
  organization(login: $organization) {
    viewerIsAMember
    teams(first: 100, after: $after, userLogins: $logins) {
      nodes { slug }
      pageInfo { hasNextPage endCursor }
    }
  }
}"""


class GitHubIdentity:
    """Tokens are GitHub's; names and passwords are asked of ``passwords``.

    ``team`` is the slug of the team that may register, None for every member of ``organization``;
    members of ``sudo_team`` may do everything with every domain.
    """

    def __init__(
        self,
        *,
        passwords: Identity,
        url: str,
        organization: str,
        team: str | None = None,
        sudo_team: str | None = None,
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self._passwords = passwords
        self._api = WebApi("GitHub", url, {"User-Agent": "lokole"})
        self._organization = organization
        self._team = None if team is None else team.casefold()
        self._sudo_team = None if sudo_team is None else sudo_team.casefold()
        self._seconds = seconds
        self._known: OrderedDict[bytes, tuple[float, Caller | str | None]] = OrderedDict()
        self._lock = threading.Lock()

    def by_password(self, username: str, password: str) -> Caller | None:
        """As the settings know it."""
        return self._passwords.by_password(username, password)

    def by_token(self, token: str) -> Caller | None:
        """Who holds ``token``; None when GitHub does not take it.

        Raises Refused with code ``team`` for somebody whom GitHub knows and who is in none of the teams,
        Temporary when GitHub is out of reach or wants to be left alone.
        """
        key = hashlib.sha256(token.encode("utf-8", "replace")).digest()
        now = self._seconds()
        with self._lock:
            at, found = self._known.get(key, (-REMEMBER_SECONDS, None))
        if at + REMEMBER_SECONDS <= now:
            found = self._ask(token)
            with self._lock:
                self._known[key] = (now, found)
                self._known.move_to_end(key)
                while len(self._known) > _MOST_REMEMBERED:
                    self._known.popitem(last=False)
        if isinstance(found, str):
            raise Refused(found, code="team")
        return found

    def check(self) -> str:
        """Whether GitHub answers; it takes no key of ours, only those of people."""
        answer = self._api.call("POST", "", body={"query": WHO, "variables": {}})
        if answer.status != 401:
            raise Temporary(f"GitHub answered {answer.status} to somebody without a token; is LOKOLE_GITHUB_URL right?")
        return f"GitHub answers; people are looked up in {self._organization}"

    def _ask(self, token: str) -> Caller | str | None:
        """The caller, None for a token that is not good, or a sentence about why somebody may nothing here."""
        if not token or not token.isascii() or not token.isprintable() or " " in token:
            return None  # no header can carry it
        try:
            login = _at(self._query(token, WHO, {}), "viewer", "login")
            if not isinstance(login, str) or not login:
                raise Temporary("GitHub answered without a name")
            return self._judged(login, self._teams(token, login))
        except _NotTaken:
            return None
        except _NotToBeSeen:
            return self._judged("", None)

    def _judged(self, login: str, teams: set[str] | None) -> Caller | str:
        if teams is None:
            return (
                f"only members of {self._organization} at GitHub may do this, with a token that may read it (read:org)"
            )
        is_sudo = self._sudo_team is not None and self._sudo_team in teams
        if not is_sudo and self._team is not None and self._team not in teams:
            return f"only members of the team {self._team} of {self._organization} at GitHub may do this"
        return Caller(PREFIX + login.casefold(), may_override=is_sudo)

    def _teams(self, token: str, login: str) -> set[str] | None:
        """The slugs of the teams in which ``login`` is, None for somebody who is no member of the organisation."""
        found: set[str] = set()
        after: str | None = None
        for _ in range(_MOST_PAGES):
            asked = {"organization": self._organization, "logins": [login], "after": after}
            organization = _at(self._query(token, TEAMS, asked), "organization")
            nodes = _at(organization, "teams", "nodes")
            is_member = _at(organization, "viewerIsAMember")
            if is_member is False:
                return None
            if is_member is not True or not isinstance(nodes, list):
                raise Temporary("GitHub answered without teams")
            found |= {
                node["slug"].casefold()
                for node in nodes
                if isinstance(node, dict) and isinstance(node.get("slug"), str)
            }
            after = _at(organization, "teams", "pageInfo", "endCursor")
            if _at(organization, "teams", "pageInfo", "hasNextPage") is not True or not isinstance(after, str):
                break
        return found

    def _query(self, token: str, query: str, variables: dict[str, Any]) -> Any:
        """The ``data`` of GitHub's answer; raises _NotTaken (the token), _NotToBeSeen (what was asked for) and Temporary."""
        answer = self._api.call(
            "POST", "", body={"query": query, "variables": variables}, headers={"Authorization": f"Bearer {token}"}
        )
        if answer.status == 401:
            raise _NotTaken
        if answer.status == 403:
            # GitHub says so when one asks too much, and when an administrator has blocked the token
            if "retry-after" in answer.headers or answer.headers.get("x-ratelimit-remaining") == "0":
                raise Temporary("GitHub wants to be left alone", retry_after=retry_after(answer.headers) or 60)
            raise _NotTaken
        if not answer.is_good or not isinstance(answer.content, dict):
            raise Temporary(f"GitHub answered {answer.status}")
        if "errors" in answer.content:
            errors = answer.content["errors"]
            kinds = {_at(error, "type") for error in errors} if isinstance(errors, list) else set()
            if kinds and kinds <= _CLOSED:
                raise _NotToBeSeen
            raise Temporary("GitHub could not answer", retry_after=60 if "RATE_LIMITED" in kinds else None)
        return answer.content.get("data")


class _NotTaken(Exception):
    """GitHub does not know the token, or not any more."""


class _NotToBeSeen(Exception):
    """There is no such organisation, or not for the holder of this token."""


def _at(value: Any, *names: str) -> Any:
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value


__all__ = ["PREFIX", "TEAMS", "WHO", "GitHubIdentity"]
