"""The OpenAPI document is what the server answers: every operation, the console, and generated requests (Schemathesis)."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import schemathesis
from schemathesis.checks import (
    CheckContext,
    CheckFunction,
)
from schemathesis.core.transport import Response as CheckedResponse
from schemathesis.generation.case import Case
from schemathesis.specs.openapi import checks

from lokole.config import Url
from lokole.server.api import carry, events, exchange, intake, outside_services, scrape
from lokole.server.app import read_document, streamed_operations
from lokole.sync.package import Compression
from tests.unit.server.place import OPERATOR, Place, message, place_in

DOCUMENT = read_document()
METHODS = ("get", "put", "post", "delete", "head", "patch")
OPERATIONS = [
    (method.upper(), path, item[method])
    for path, item in DOCUMENT["paths"].items()
    for method in METHODS
    if method in item
]


def test_the_document_is_served_whole_and_the_console_reads_it(place: Place) -> None:
    served = place.client.get("/openapi.json")
    assert served.json() == DOCUMENT
    assert DOCUMENT["openapi"] == "3.0.3"
    console = place.client.get("/ui/")
    assert console.status_code == 200
    assert "/openapi.json" in console.text


def test_below_each_path_of_the_api_ui_leads_to_the_console(place: Place) -> None:
    prefixes = {path.rpartition("/{")[0] or path for path in DOCUMENT["paths"]}
    for prefix in {one.rstrip("/") for one in prefixes if one.startswith(("/api/email", "/api/exchange"))}:
        if prefix.endswith(
            (
                "claim",
                "packages",
                "ack",
                "digest",
                "carry",
                "trouble",
                "pending",
                "users",
                "{domain}",
                "suppressed",
                "events",
                "service",
                "boxes",
                "device",
                "token",
            )
        ):
            continue  # below an operation there is nothing
        answer = place.client.get(f"{prefix}/ui", follow_redirects=False)
        assert (answer.status_code, answer.headers["location"]) == (307, "/ui/"), prefix
        assert place.client.get(f"{prefix}/ui/").status_code == 200


def test_the_console_is_off_unless_it_is_switched_on(tmp_path: Path) -> None:
    with place_in(tmp_path, console=False) as place:
        for path in ("/ui", "/ui/", "/api/email/upload/ui", "/healthcheck/ui", "/api/ui"):
            assert place.client.get(path, follow_redirects=False).status_code in (404, 405), path
        assert place.client.get("/api/email/register/ui", auth=OPERATOR).status_code == 404
        assert "/ui/" not in place.client.get("/").text


def test_routes_of_our_own_are_exactly_those_that_the_document_marks(place: Place) -> None:
    ours = {
        (method, route.path)
        for module in (events, outside_services, intake, exchange, carry, scrape)
        for route in module.routes(place.ports)
        for method in route.methods or ()
        if method != "HEAD" or (method, route.path) in streamed_operations(DOCUMENT)
    }
    assert ours == streamed_operations(DOCUMENT)


def test_every_error_is_a_problem_with_title_and_status(place: Place) -> None:
    for method, path in (
        ("GET", "/nothing"),
        ("POST", "/healthcheck/ping"),
        ("GET", "/api/exchange/claim"),
        ("PATCH", "/api/exchange/packages"),
    ):
        answer = place.client.request(method, path)
        assert answer.status_code in (404, 405)
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["status"] == answer.status_code
        assert answer.json()["title"]


def test_a_plain_request_has_a_limit_whether_it_announces_its_size_or_not(place: Place) -> None:
    body = b'{"domain": "' + b"a" * 1_100_000 + b'"}'
    headers = {"Content-Type": "application/json"}
    announced = place.client.post("/api/email/register/", content=body, headers=headers, auth=OPERATOR)

    def pieces() -> Iterator[bytes]:
        yield from (body[at : at + 65536] for at in range(0, len(body), 65536))

    counted = place.client.post("/api/email/register/", content=pieces(), headers=headers, auth=OPERATOR)
    assert announced.status_code == counted.status_code == 413


def test_the_start_page_says_what_this_is_and_ping_may_be_asked_from_elsewhere(place: Place) -> None:
    page = place.client.get("/")
    assert page.headers["content-type"].startswith("text/html")
    for link in ("/ui/", "/openapi.json", "/healthcheck/ping"):
        assert f'href="{link}"' in page.text
    for name, said in (("ping", "pong"), ("ready", "ready")):
        answer = place.client.get(f"/healthcheck/{name}")
        assert (answer.status_code, answer.json(), answer.headers["access-control-allow-origin"]) == (200, said, "*")
    for path in ("/", "/openapi.json", "/api/email/metrics/users/x.test"):
        assert (
            "access-control-allow-origin" not in place.client.get(path, headers={"Origin": "https://evil.test"}).headers
        )


def test_the_web_pages_are_mounted(tmp_path: Path) -> None:
    with place_in(tmp_path, web=True) as place:
        page = place.client.get("/web/")
        assert page.status_code == 200
        assert "text/html" in page.headers["content-type"]
        assert 'href="/web/' in place.client.get("/").text
        assert place.client.get("/webx").status_code == 404


# --- generated requests --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("generated")
    with place_in(folder / "data", v1_boxes=True, exchange=Url(f"folder://{folder}/exchange")) as place:
        box = place.box("a.lokole.test", ["ann"])
        place.webhook(box.webhook, message(), ["ann@a.lokole.test"])
        place.register("old.lokole.test")
        yield place


@schemathesis.serializer(
    *(one.content_type for one in Compression), "application/partial-upload", "application/vnd.lokole.bundle+tar"
)
def as_bytes(_context: object, value: object) -> bytes:
    """A generated body of a package is any bytes."""
    return value.data if hasattr(value, "data") else str(value).encode()


CHECKS: list[CheckFunction] = [
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
    checks.response_headers_conformance,
]


def not_a_server_error(_context: CheckContext, response: CheckedResponse, case: Case[Any]) -> None:
    assert response.status_code < 500, f"{case.method} {case.path}: {response.status_code}"


@pytest.mark.parametrize(
    ("method", "path", "signed_in"),
    [(method, path, False) for method, path, _ in OPERATIONS]
    + [(method, path, True) for method, path, item in OPERATIONS if {"basic": []} in item.get("security", [])],
)
def test_generated_requests_are_answered_as_the_document_says(
    generated: Place, method: str, path: str, signed_in: bool
) -> None:
    schema = schemathesis.openapi.from_asgi("/openapi.json", generated.server.app)
    operation = schema[path][method]
    real = itertools.cycle(["a.lokole.test", "old.lokole.test", "nothing.test"])

    @hypothesis.given(case=operation.as_strategy())
    @hypothesis.settings(
        max_examples=12,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    def check(case: Case[Any]) -> None:
        if "domain" in (case.path_parameters or {}) and method != "DELETE":
            case.path_parameters["domain"] = next(real)
        headers = {name: value for name, value in (case.headers or {}).items() if name.lower() != "authorization"}
        case.headers = headers  # type: ignore[assignment]
        auth = OPERATOR if signed_in else None
        generated.clock.pass_by(minutes=15)
        case.call_and_validate(auth=auth, checks=[not_a_server_error, *CHECKS])

    check()
