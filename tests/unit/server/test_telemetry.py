"""What is told to a collector and to Azure Monitor: requests, work and events, and never a word of a letter or an address."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from lokole.config import BadSettings
from lokole.mail.errors import Temporary
from lokole.mail.model import Contact, Email
from lokole.server.app import read_document, route_of
from lokole.server.build import build_ports
from lokole.sync.records import EmailRecord
from tests.fakes.telemetry import FakeCollector, FakeIngestion
from tests.unit.server.place import NOON, Place, message, place_in, settings_for

KEY = "01234567-89ab-4def-8123-456789abcdef"
SECRETS = ("hippopotamus", "ann@", "ann%40", "a.lokole.test", "bob@", "example.org", "whoever", "Basic ", "signature=")


def connection(ingestion: FakeIngestion, key: str = KEY) -> str:
    return f"InstrumentationKey={key};IngestionEndpoint={ingestion.url}/;LiveEndpoint={ingestion.url}/"


def a_day(place: Place) -> None:
    """A letter in, a letter out at the second attempt, and somebody who guesses paths."""
    box = place.box("a.lokole.test", ["ann"])
    raw = message(subject="hippopotamus", text="hippopotamus")
    assert place.webhook(box.webhook, raw, ["ann@a.lokole.test"]).status_code == 200
    place.world.troubles = [Temporary("busy: bob@example.org")]
    sender, to = Contact("ann@a.lokole.test"), (Contact("bob@example.org"),)
    box.put([EmailRecord("u1", Email(sender=sender, to=to, subject="hippopotamus", body="hippopotamus"))])
    place.clock.pass_by(minutes=5)
    place.work()
    assert len(place.world.sent) == 1
    box.fetch()
    for path in ("/whoever@example.org", "/api/email/whoever@example.org", "/api/email/sendgrid/whoever/x"):
        assert place.client.post(path).status_code in (404, 405)


def test_a_collector_is_told_of_requests_work_and_events(tmp_path: Path) -> None:
    with FakeCollector(key="k") as collector:
        with place_in(tmp_path, otlp_endpoint=collector.url, otlp_headers="x-api-key=k, x-other=1") as place:
            a_day(place)
        assert {asked.path for asked in collector.asked} == {"/v1/traces", "/v1/metrics"}
        spans = {one.name: one for one in collector.spans}
        put = spans["PUT /api/exchange/packages"]
        assert put.attributes == {
            "http.request.method": "PUT", "http.route": "/api/exchange/packages", "http.response.status_code": 201,
        }  # fmt: skip
        assert put.kind == 2, "a server's"
        assert NOON.timestamp() * 1e9 - 60e9 < put.start < put.end
        assert put.end <= place.clock().timestamp() * 1e9
        first, second = (one for one in collector.spans if one.name == "work send")
        assert (first.attributes["lokole.attempt"], second.attributes["lokole.attempt"]) == (1, 2)
        assert first.attributes["error.type"] == "Temporary"
        assert first.failed.startswith("Temporary at ")
        assert (second.failed, "error.type" in second.attributes) == ("", False)
        assert "POST /other" in spans
        assert "POST /api/email/sendgrid" in spans
        assert collector.counts["email_received_for_client"] == 1
        assert collector.counts["email_delivered_from_client"] == 1
        assert collector.counts["new_client_registered"] == 1
        assert {one["service.name"] for one in collector.resources} == {"lokole-server"}
        assert_nothing_private(b"".join(asked.body for asked in collector.asked))


def test_azure_monitor_is_told_the_same_by_its_connection_string(tmp_path: Path) -> None:
    with FakeIngestion(KEY) as ingestion:
        with place_in(tmp_path, application_insights=connection(ingestion)) as place:
            a_day(place)
        requests: dict[str, Any] = {one["name"]: one for one in ingestion.of("RequestData")}
        assert requests["PUT /api/exchange/packages"]["responseCode"] == "201"
        assert requests["PUT /api/exchange/packages"]["success"] is True
        assert "work send" in requests
        events = {one["properties"]["event"]: one["metrics"][0]["value"] for one in ingestion.of("MetricData")}
        assert events["email_received_for_client"] == 1
        assert events["email_delivered_from_client"] == 1
        assert {asked.path.rpartition("/")[2] for asked in ingestion.asked} == {"track"}
        assert_nothing_private(str(ingestion.envelopes).encode())


def test_both_may_be_told_at_once(tmp_path: Path) -> None:
    with FakeIngestion(KEY) as ingestion, FakeCollector() as collector:
        changes: dict[str, Any] = {"otlp_endpoint": collector.url, "application_insights": connection(ingestion)}
        with place_in(tmp_path, **changes) as place:
            place.register("a.lokole.test")
        assert collector.counts["new_client_registered"] == 1
        assert len(collector.spans) == len(ingestion.of("RequestData")) > 1


def test_two_processes_are_counted_together(tmp_path: Path) -> None:
    with FakeCollector() as collector:
        for n in (1, 2):
            with place_in(tmp_path, otlp_endpoint=collector.url, seed=n) as place:
                place.register(f"a{n}.lokole.test")
        assert collector.counts["new_client_registered"] == 2


def test_a_collector_that_is_away_keeps_no_letter_waiting(tmp_path: Path) -> None:
    with FakeCollector() as collector:
        url = collector.url
    with place_in(tmp_path, otlp_endpoint=url) as place:
        a_day(place)


def test_every_path_of_the_document_is_told_as_a_route_and_no_other_is() -> None:
    paths = [path.replace("{", "").replace("}", "") for path in read_document()["paths"]]
    assert [path for path in paths if route_of(path) == "/other"] == []
    assert route_of("/api/exchange/packages/0123") == "/api/exchange/packages"
    assert route_of("/web/email/inbox") == "/web"
    for made_up in ("/ann@a.lokole.test", "/api/email/ann@a.lokole.test/x", "/api/exchange/ann", ""):
        assert route_of(made_up) == "/other"


@pytest.mark.parametrize(
    "changes",
    [
        {"otlp_endpoint": "127.0.0.1:4318"},
        {"otlp_endpoint": "ftp://collector"},
        {"otlp_endpoint": "http://collector", "otlp_headers": "hush-hush"},
        {"application_insights": "hush-hush"},
        {"application_insights": "InstrumentationKey=hush-hush"},
    ],
)
def test_settings_that_are_wrong_are_named_and_not_quoted(tmp_path: Path, changes: dict[str, str]) -> None:
    with pytest.raises(BadSettings) as caught:
        build_ports(settings_for(tmp_path, **changes))
    assert "LOKOLE_OTLP_ENDPOINT" in str(caught.value)
    assert "hush" not in str(caught.value)


def test_without_the_libraries_the_settings_say_what_to_install(tmp_path: Path) -> None:
    ours = "lokole.adapters.telemetry.otel"
    hidden = {name: sys.modules.pop(name) for name in list(sys.modules) if name.startswith(("opentelemetry", ours))}
    sys.modules["opentelemetry"] = None  # type: ignore[assignment]  # an import of it fails, as where it is not installed
    try:
        with pytest.raises(BadSettings) as caught:
            build_ports(settings_for(tmp_path, otlp_endpoint="http://127.0.0.1:4318"))
    finally:
        del sys.modules["opentelemetry"]
        sys.modules.update(hidden)
    assert "lokole[telemetry]" in str(caught.value)
    assert "requirements/telemetry.lock" in str(caught.value)
    build_ports(settings_for(tmp_path)).database.close()


def assert_nothing_private(told: bytes) -> None:
    assert [word for word in SECRETS if word.encode() in told] == []
