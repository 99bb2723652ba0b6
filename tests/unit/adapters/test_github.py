"""Sign-in with GitHub, against a GitHub with state whose questions and answers are held against the published schema."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import pytest
from graphql import GraphQLResolveInfo, GraphQLSchema, build_schema, execute_sync, parse, validate

from lokole.adapters.identity.github import REMEMBER_SECONDS, TEAMS, WHO, GitHubIdentity
from lokole.adapters.identity.static import StaticIdentity
from lokole.adapters.web_api import WebApi
from lokole.mail.errors import Refused, Temporary
from lokole.ports.identity import Caller
from tests.fakes.github import FakeGitHub
from tests.fakes.web_server import DRIP, HANG_UP, NONSENSE, Said
from tests.servers_mail import cannot_start
from tests.unit.house.repository import ROOT

OPERATOR = StaticIdentity("operator", "correct horse")


class Seconds:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def github() -> Iterator[FakeGitHub]:
    with FakeGitHub() as fake:
        yield fake


@pytest.fixture
def seconds() -> Seconds:
    return Seconds()


def identity(github: FakeGitHub, seconds: Seconds | None = None, **changes: Any) -> GitHubIdentity:
    asked: dict[str, Any] = {"organization": "ascoderu", "team": "lokole-operators", "sudo_team": "lokole-admins"}
    return GitHubIdentity(passwords=OPERATOR, url=github.url, seconds=seconds or Seconds(), **(asked | changes))


def test_a_member_of_the_team_may_register_and_one_of_the_sudo_team_may_do_everything(github: FakeGitHub) -> None:
    ann = github.person("Ann", "ascoderu", "lokole-operators", "kitchen")
    bob = github.person("bob", "ascoderu", "lokole-admins")
    asked = identity(github)
    assert asked.by_token(ann) == Caller("github:ann")
    assert asked.by_token(bob) == Caller("github:bob", may_override=True)


def test_passwords_stay_what_they_were_and_no_login_is_the_operator(github: FakeGitHub) -> None:
    token = github.person("operator", "ascoderu", "lokole-operators")
    asked = identity(github)
    assert asked.by_password("operator", "correct horse") == Caller("operator", may_override=True)
    assert asked.by_password("operator", token) is None
    found = asked.by_token(token)
    assert found is not None
    assert found.name != "operator"
    assert not found.may_override


@pytest.mark.parametrize("where", [None, "elsewhere", "ascoderu"])
def test_whoever_is_in_no_team_is_refused_and_told_which_team(github: FakeGitHub, where: str | None) -> None:
    github.person("somebody", "ascoderu", "lokole-operators")
    # a team of the same name in another organisation opens nothing
    token = github.person("eve", where, *(["lokole-operators", "lokole-admins"] if where == "elsewhere" else []))
    with pytest.raises(Refused) as caught:
        identity(github).by_token(token)
    assert caught.value.code == "team"
    assert "ascoderu" in str(caught.value)


def test_without_a_team_every_member_may_register_and_nobody_else(github: FakeGitHub) -> None:
    ann, eve = github.person("ann", "ascoderu"), github.person("eve")
    asked = identity(github, team=None, sudo_team=None)
    assert asked.by_token(ann) == Caller("github:ann")
    with pytest.raises(Refused):
        asked.by_token(eve)


def test_a_team_on_the_last_page_counts() -> None:
    with FakeGitHub(page=2) as github:
        token = github.person("ann", "ascoderu", "a", "b", "c", "d", "zz-last")
        assert identity(github, team="zz-last").by_token(token) == Caller("github:ann")
        assert len(github.asked) == 1 + 3


def test_an_organisation_that_is_not_there_or_not_to_be_seen_is_nobodys(github: FakeGitHub) -> None:
    token = github.person("ann", "ascoderu", "lokole-operators")
    with pytest.raises(Refused):
        identity(github, organization="nothing").by_token(token)
    github.narrow.add(token)
    with pytest.raises(Refused, match="read:org"):
        identity(github).by_token(token)


@pytest.mark.parametrize("token", ["", "wrong", "two words", "ä", "a\r\nX-Evil: 1", "x" * 5000])
def test_a_token_that_github_does_not_take_is_nobodys(github: FakeGitHub, token: str) -> None:
    assert identity(github).by_token(token) is None


def test_what_github_said_is_remembered_for_a_minute_and_not_longer(github: FakeGitHub, seconds: Seconds) -> None:
    token = github.person("ann", "ascoderu", "lokole-operators")
    asked = identity(github, seconds)
    for _ in range(5):
        assert asked.by_token(token) == Caller("github:ann")
    assert len(github.asked) == 2
    del github.tokens[token]  # taken back in the middle of a visit
    seconds.now += REMEMBER_SECONDS - 1
    assert asked.by_token(token) is not None
    seconds.now += 2
    assert asked.by_token(token) is None


def test_who_leaves_the_team_may_nothing_a_minute_later(github: FakeGitHub, seconds: Seconds) -> None:
    token = github.person("ann", "ascoderu", "lokole-admins")
    asked = identity(github, seconds)
    assert asked.by_token(token) is not None
    github.organizations["ascoderu"].teams["lokole-admins"].clear()
    seconds.now += REMEMBER_SECONDS
    with pytest.raises(Refused):
        asked.by_token(token)


def test_a_token_taken_back_between_two_questions_is_nobodys(github: FakeGitHub) -> None:
    token = github.person("ann", "ascoderu", "lokole-operators")
    github.troubles = [Said(200, {"data": {"viewer": {"login": "Ann"}}}), Said(401, {"message": "Bad credentials"})]
    assert identity(github).by_token(token) is None


def test_whether_github_answers_is_said(github: FakeGitHub) -> None:
    assert "ascoderu" in identity(github).check()
    github.troubles = [Said(404)]
    with pytest.raises(Temporary, match="LOKOLE_GITHUB_URL"):
        identity(github).check()


LATER = [
    Said(500),
    Said(502, b"<html>"),
    Said(503, headers={"Retry-After": "7"}),
    Said(429, headers={"Retry-After": "Wed, 25 Nov 2099 12:00:00 GMT"}),
    Said(403, {"message": "API rate limit exceeded"}, {"X-RateLimit-Remaining": "0"}),
    Said(403, {"message": "You have exceeded a secondary rate limit."}, {"Retry-After": "30"}),
    Said(200, {"errors": [{"type": "RATE_LIMITED", "message": "API rate limit exceeded"}]}),
    Said(200, {"errors": [{"message": "Something went wrong while executing your query."}]}),
    Said(200, {"errors": "?"}),
    Said(200, {"data": {"viewer": None}}),
    Said(200, {"data": []}),
    Said(200, [1]),
    Said(200),
    Said(301, headers={"Location": "http://127.0.0.1:1/"}),
    HANG_UP,
    NONSENSE,
    DRIP,
]


@pytest.mark.parametrize("trouble", LATER, ids=range(len(LATER)))
@pytest.mark.parametrize("at", [0, 1])
def test_trouble_at_github_is_for_later_and_nobody_is_refused_or_remembered(
    github: FakeGitHub, trouble: Said, at: int
) -> None:
    token = github.person("ann", "ascoderu", "lokole-operators")
    asked = identity(github)
    asked._api = WebApi("GitHub", github.url, {"User-Agent": "lokole"}, deadline=1.0)
    if at:
        assert asked.by_token(github.person("bob", "ascoderu", "lokole-operators"))
        good = {"data": {"viewer": {"login": "ann"}}}
        github.troubles = [Said(200, good), trouble]
    else:
        github.troubles = [trouble]
    with pytest.raises(Temporary) as caught:
        asked.by_token(token)
    assert token not in str(caught.value)
    assert asked.by_token(token) == Caller("github:ann")


def test_nobody_listens_at_the_address() -> None:
    asked = GitHubIdentity(passwords=OPERATOR, url="http://127.0.0.1:1", organization="x")
    with pytest.raises(Temporary):
        asked.by_token("ghp_x")


# --- GitHub's own schema -------------------------------------------------------------------------


@functools.cache
def schema() -> GraphQLSchema:
    path = ROOT / "node_modules/@octokit/graphql-schema/schema.graphql"
    if not path.exists():
        cannot_start("GitHub's schema is not installed: make setup-test")
    # GitHub bends the specification in types that nobody here asks for
    return build_schema(path.read_text(), assume_valid=True, assume_valid_sdl=True)


@pytest.mark.parametrize("query", [WHO, TEAMS])
def test_what_is_asked_is_what_github_can_be_asked(query: str) -> None:
    assert validate(schema(), parse(query)) == []
    assert validate(schema(), parse(query.replace("login }", "logname }").replace("slug", "slag"))) != []


def test_what_the_fake_answers_is_what_github_could_answer(github: FakeGitHub) -> None:
    token = github.person("ann", "ascoderu", "lokole-operators")
    github.person("bob", "ascoderu")
    asked = identity(github)
    asked.by_token(token)
    for one in github.asked:
        said = github.answer(one).content
        assert _as_github_types_it(one.json, said["data"]) == said["data"]
        assert _as_github_types_it(one.json, {"viewer": {"login": None}, "organization": {"teams": 7}}) is None


def _as_github_types_it(asked: dict[str, Any], data: Any) -> Any:
    """``data`` after GitHub's types have been through it: what does not fit is null."""

    def resolve(source: Any, info: GraphQLResolveInfo[Any], **_: Any) -> Any:
        return source[info.path.key]

    done = execute_sync(
        schema(), parse(asked["query"]), root_value=data, variable_values=asked["variables"], field_resolver=resolve
    )
    return done.data if done.errors is None else None
