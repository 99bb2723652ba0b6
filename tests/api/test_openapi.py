"""The OpenAPI document is what the server answers: every operation, the console, and generated requests (Schemathesis)."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import schemathesis
from hypothesis.errors import Unsatisfiable
from schemathesis.checks import CHECKS, load_all_checks
from schemathesis.generation import GenerationMode
from schemathesis.generation.case import Case

from lokole.config import Url
from lokole.server.api import carry, events, exchange, intake, outside_services, scrape
from lokole.server.app import read_document, streamed_operations
from lokole.sync.container import CONTENT_TYPE
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

TOKEN = "token-of-the-numbers"
WEBHOOK = ("POST", "/api/email/sendgrid/{client_id}")
#: checks that do not hold for an operation, and why
EXCEPTIONS = {
    # what the body has to be is no matter of a schema: sealed by a box for this server
    ("POST", "/api/exchange/carry"): {"positive_data_acceptance"},
    # under the right secret what is no form with a letter is 503, or SendGrid would drop it (docs/providers.md)
    WEBHOOK: {"not_a_server_error"},
}
load_all_checks()


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("generated")
    exchange = Url(f"folder://{folder}/exchange")
    with place_in(folder / "data", v1_boxes=True, exchange=exchange, metrics_token=TOKEN) as place:
        box = place.box("a.lokole.test", ["ann"])
        place.webhook(box.webhook, message(), ["ann@a.lokole.test"])
        place.register("old.lokole.test")
        yield place


@pytest.fixture(scope="module")
def schema(generated: Place) -> Any:
    found = schemathesis.openapi.from_asgi("/openapi.json", generated.server.app)
    # a list with more than its most items may also be too long to be read at all
    rejection = found.config.checks.negative_data_rejection
    rejection.expected_statuses = [*rejection.expected_statuses, "413"]
    return found


@schemathesis.serializer(
    CONTENT_TYPE,
    *(one.content_type for one in Compression),
    "application/partial-upload",
    "application/vnd.lokole.bundle+tar",
)
def as_bytes(_context: object, value: object) -> bytes:
    """A generated body of a package is any bytes."""
    return value.data if hasattr(value, "data") else str(value).encode()


@pytest.mark.parametrize(
    ("method", "path", "signed_in"),
    [(method, path, False) for method, path, _ in OPERATIONS]
    + [(method, path, True) for method, path, item in OPERATIONS if {"basic": []} in item.get("security", [])],
)
def test_generated_requests_are_answered_as_the_document_says(
    generated: Place, schema: Any, method: str, path: str, signed_in: bool
) -> None:
    """Every check of Schemathesis: requests that are right, that are wrong, and one for each rule of the document."""
    operation = schema[path][method]
    auth = OPERATOR if signed_in else None
    exceptions = EXCEPTIONS.get((method, path), set())
    checks: list[Any] = [check for check in CHECKS.get_all() if check.__name__ not in exceptions]
    domains = itertools.cycle(["a.lokole.test", "old.lokole.test", "nothing.test"])
    secrets = itertools.cycle([generated.row("a.lokole.test").webhook_secret, "nobody"])

    def check(case: Case[Any]) -> None:
        if "domain" in case.path_parameters and method != "DELETE":
            case.path_parameters["domain"] = next(domains)
        if (method, path) == WEBHOOK:
            case.path_parameters["client_id"] = next(secrets)
        headers = {name: value for name, value in (case.headers or {}).items() if name.lower() != "authorization"}
        case.headers = headers  # type: ignore[assignment]
        generated.clock.pass_by(minutes=15)
        case.call_and_validate(auth=auth, checks=checks)

    for mode in GenerationMode:
        fuzz = hypothesis.given(case=operation.as_strategy(generation_mode=mode))(check)
        # where nothing can be wrong, as without parameters, there is nothing to generate
        with suppress(Unsatisfiable):
            hypothesis.settings(
                max_examples=10,
                deadline=None,
                derandomize=True,
                database=None,
                suppress_health_check=list(hypothesis.HealthCheck),
            )(fuzz)()
    rules = schema.config.generation_for(operation=operation, phase="coverage")
    for case in schema.iter_coverage_cases(operation, generation_modes=list(GenerationMode), generation_config=rules):
        check(case)


def test_a_method_that_a_path_does_not_have_is_405_with_those_that_it_has(place: Place) -> None:
    for method, path, allowed in (
        ("PATCH", "/api/email/register/", "GET, HEAD, POST"),
        ("PUT", "/api/email/register/a.lokole.test", "DELETE, GET, HEAD"),
        ("GET", "/api/email/sendgrid/events", "POST"),
        ("POST", "/api/exchange/packages", "GET, HEAD"),
        ("POST", "/metrics", "GET, HEAD"),
    ):
        answer = place.client.request(method, path, auth=OPERATOR)
        assert (answer.status_code, answer.headers["allow"]) == (405, allowed), path
    assert place.client.post("/nothing").status_code == 404


def test_what_cannot_be_a_domain_is_none_of_ours(place: Place) -> None:
    for name in ("x" * 300, "a..test", "%00", "%80.test"):
        for path in ("metrics/pending", "metrics/users", "register"):
            answer = place.client.get(f"/api/email/{path}/{name}", auth=OPERATOR)
            assert (answer.status_code, answer.json()["code"]) == (404, "not-found"), (path, name)
