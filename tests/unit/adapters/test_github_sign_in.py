"""What the adapter makes of each of GitHub's answers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lokole.adapters.sign_in.github import GitHubSignIn
from lokole.mail.errors import Permanent, Refused, Temporary
from tests.github_sign_in import CLIENT_ID, FakeGitHub, fake_github
from tests.servers_mail import free_port


@pytest.fixture
def github() -> Iterator[FakeGitHub]:
    with fake_github() as started:
        yield started


@pytest.fixture
def sign_in(github: FakeGitHub) -> GitHubSignIn:
    return GitHubSignIn(CLIENT_ID, url=github.url)


def test_a_code_that_is_typed_gives_the_token(github: FakeGitHub, sign_in: GitHubSignIn) -> None:
    begun = sign_in.begin()
    assert begun.verification_uri == f"{github.url}/login/device"
    assert github.asked[-1]["scope"] == "read:org"
    assert sign_in.finish(begun.device_code).token is None
    github.type(begun.user_code)
    assert sign_in.finish(begun.device_code).token == github.token
    assert github.token not in repr(sign_in.finish(begun.device_code))
    assert begun.device_code not in repr(begun)


def test_who_asks_too_often_is_told_to_wait_longer(github: FakeGitHub, sign_in: GitHubSignIn) -> None:
    begun = sign_in.begin()
    github.impatient = 1
    assert sign_in.finish(begun.device_code).interval == 6
    assert sign_in.finish(begun.device_code).interval == 5


@pytest.mark.parametrize("said", ["no", "late"])
def test_a_no_and_a_code_that_ran_out_are_refused(github: FakeGitHub, sign_in: GitHubSignIn, said: str) -> None:
    begun = sign_in.begin()
    github.type(begun.user_code, said)
    with pytest.raises(Refused):
        sign_in.finish(begun.device_code)


def test_a_code_that_was_never_given_is_refused(sign_in: GitHubSignIn) -> None:
    with pytest.raises(Refused):
        sign_in.finish("made up")


def test_a_client_id_that_github_does_not_know_is_for_the_operator(github: FakeGitHub) -> None:
    with pytest.raises(Permanent):
        GitHubSignIn("another", url=github.url).begin()
    with pytest.raises(Permanent):
        GitHubSignIn("another", url=github.url).finish("x")


@pytest.mark.parametrize(
    "fault",
    [(200, b"<html>"), (200, b"[]"), (200, b"{}"), (500, b"{}"), (302, b""), (200, b'{"access_token": 7}')],
)
def test_nonsense_is_tried_again_later(github: FakeGitHub, sign_in: GitHubSignIn, fault: tuple[int, bytes]) -> None:
    github.fault = fault
    with pytest.raises(Temporary):
        sign_in.begin()
    with pytest.raises(Temporary):
        sign_in.finish("x")


def test_a_page_to_open_is_never_a_script(github: FakeGitHub, sign_in: GitHubSignIn) -> None:
    github.fault = (200, b'{"user_code": "A", "device_code": "b", "verification_uri": "javascript:alert(1)"}')
    with pytest.raises(Temporary):
        sign_in.begin()


def test_a_github_that_is_not_there_is_tried_again_later() -> None:
    with pytest.raises(Temporary):
        GitHubSignIn(CLIENT_ID, url=f"http://127.0.0.1:{free_port()}").begin()
