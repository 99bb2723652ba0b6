"""A GitHub with people, tokens, organisations and teams, as far as its GraphQL API is asked for them.

``tests/unit/adapters/test_github.py`` holds what it answers against GitHub's published schema.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from lokole.adapters.identity.github import TEAMS, WHO
from tests.fakes.web_server import Asked, FakeProvider, Said

_BAD = Said(
    401, {"message": "Bad credentials", "documentation_url": "https://docs.github.com/graphql", "status": "401"}
)


@dataclass
class Organization:
    members: set[str] = field(default_factory=set)
    #: slug to logins
    teams: dict[str, set[str]] = field(default_factory=dict)


class FakeGitHub(FakeProvider):
    """``tokens`` maps each token to a login; ``page`` is how many teams go on one page."""

    def __init__(self, page: int = 100) -> None:
        super().__init__()
        self.tokens: dict[str, str] = {}
        #: tokens that may not read organisations
        self.narrow: set[str] = set()
        self.organizations: dict[str, Organization] = {}
        self.page = page

    def person(self, login: str, organization: str | None = None, *teams: str) -> str:
        """Somebody new, member of ``organization`` and of ``teams``; returns a token."""
        token = f"ghp_{login}{len(self.tokens)}"
        self.tokens[token] = login
        if organization is not None:
            found = self.organizations.setdefault(organization, Organization())
            found.members.add(login)
            for team in teams:
                found.teams.setdefault(team, set()).add(login)
        return token

    def answer(self, asked: Asked) -> Said:
        kind, _, token = asked.headers.get("authorization", "").partition(" ")
        login = self.tokens.get(token)
        if asked.method != "POST" or kind.lower() not in ("bearer", "token") or login is None:
            return _BAD
        if "user-agent" not in asked.headers:
            return Said(
                403, b"Request forbidden by administrative rules. Please make sure your request has a User-Agent."
            )
        query, variables = asked.json["query"], asked.json["variables"]
        if query == WHO:
            return Said(200, {"data": {"viewer": {"login": login}}})
        if query != TEAMS:
            return Said(200, {"errors": [{"message": "the fake knows no other query"}]})
        return Said(200, self._teams(token, login, **variables))

    def _teams(self, token: str, login: str, organization: str, logins: list[str], after: str | None) -> dict[str, Any]:
        if token in self.narrow:
            said = "Your token has not been granted the required scopes to execute this query."
            return {"errors": [{"type": "INSUFFICIENT_SCOPES", "message": said}]}
        found = self.organizations.get(organization)
        if found is None:
            said = f"Could not resolve to an Organization with the login of '{organization}'."
            error = {"type": "NOT_FOUND", "path": ["organization"], "message": said}
            return {"data": {"organization": None}, "errors": [error]}
        is_member = login in found.members
        # whoever is no member sees no teams
        slugs = sorted(slug for slug, people in found.teams.items() if is_member and people & set(logins))
        start = int(after or 0)
        page = slugs[start : start + self.page]
        more = start + self.page < len(slugs)
        return {
            "data": {
                "organization": {
                    "viewerIsAMember": is_member,
                    "teams": {
                        "nodes": [{"slug": slug} for slug in page],
                        "pageInfo": {"hasNextPage": more, "endCursor": str(start + len(page)) if page else None},
                    },
                }
            }
        }
