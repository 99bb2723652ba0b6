"""Systems that are told what a server does: an OpenTelemetry collector (OTLP over HTTP, protobuf) and Azure Monitor's ingestion (breeze, JSON).

Both keep state: the spans that came, and the newest sum of every counter of every process.
"""

from __future__ import annotations

import gzip
import json
from collections import Counter
from dataclasses import dataclass
from typing import Any

from tests.fakes.web_server import Asked, FakeProvider, Said


@dataclass(frozen=True)
class SpanTold:
    """One span; times in nanoseconds since 1970."""

    name: str
    kind: int
    start: int
    end: int
    attributes: dict[str, Any]
    failed: str


class FakeCollector(FakeProvider):
    """Answers as a collector does; ``key`` is what it wants to be shown as ``x-api-key``."""

    def __init__(self, key: str | None = None) -> None:
        super().__init__()
        self.key = key
        self.spans: list[SpanTold] = []
        self.resources: list[dict[str, Any]] = []
        self._sums: dict[tuple[str, str], int] = {}

    @property
    def counts(self) -> Counter[str]:
        """Events by name, of all processes together."""
        found: Counter[str] = Counter()
        for (_instance, event), count in self._sums.items():
            found[event] += count
        return found

    def answer(self, asked: Asked) -> Said:
        from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

        if self.key is not None and asked.headers.get("x-api-key") != self.key:
            return Said(401, b"")
        if asked.headers.get("content-type") != "application/x-protobuf":
            return Said(415, b"")
        body = gzip.decompress(asked.body) if asked.headers.get("content-encoding") == "gzip" else asked.body
        if asked.path == "/v1/traces":
            self._take_spans(ExportTraceServiceRequest.FromString(body))
        elif asked.path == "/v1/metrics":
            self._take_metrics(ExportMetricsServiceRequest.FromString(body))
        else:
            return Said(404, b"")
        return Said(200, b"", headers={"Content-Type": "application/x-protobuf"})

    def _take_spans(self, told: Any) -> None:
        for resource in told.resource_spans:
            self.resources.append(_attributes(resource.resource.attributes))
            for scope in resource.scope_spans:
                self.spans += [
                    SpanTold(
                        one.name, one.kind, one.start_time_unix_nano, one.end_time_unix_nano,
                        _attributes(one.attributes), one.status.message if one.status.code == 2 else "",
                    )
                    for one in scope.spans
                ]  # fmt: skip

    def _take_metrics(self, told: Any) -> None:
        for resource in told.resource_metrics:
            instance = str(_attributes(resource.resource.attributes)["service.instance.id"])
            for metric in (metric for scope in resource.scope_metrics for metric in scope.metrics):
                assert (metric.name, metric.sum.is_monotonic) == ("lokole.events", True)
                for point in metric.sum.data_points:
                    self._sums[instance, str(_attributes(point.attributes)["event"])] = point.as_int


def _attributes(pairs: Any) -> dict[str, Any]:
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in pairs}


class FakeIngestion(FakeProvider):
    """Takes envelopes for one instrumentation key, and refuses those of any other as Azure Monitor does."""

    def __init__(self, key: str) -> None:
        super().__init__()
        self.key = key
        self.envelopes: list[dict[str, Any]] = []

    def of(self, kind: str) -> list[dict[str, Any]]:
        """The data of the envelopes of one kind, such as ``RequestData``."""
        return [one["data"]["baseData"] for one in self.envelopes if one["data"]["baseType"] == kind]

    def answer(self, asked: Asked) -> Said:
        if not asked.path.endswith("/track"):
            return Said(404, {})
        body = gzip.decompress(asked.body) if asked.headers.get("content-encoding") == "gzip" else asked.body
        told: list[dict[str, Any]] = json.loads(body)
        taken = [one for one in told if one["iKey"] == self.key]
        self.envelopes += taken
        errors = [
            {"index": n, "statusCode": 400, "message": "Invalid instrumentation key"}
            for n, one in enumerate(told)
            if one["iKey"] != self.key
        ]
        answer = {"itemsReceived": len(told), "itemsAccepted": len(taken), "errors": errors}
        return Said(206 if errors else 200, answer)
