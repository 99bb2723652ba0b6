"""OpenTelemetry, to a collector by OTLP over HTTP, to Azure Monitor (Application Insights), or to both.

Spans and one counter, ``lokole.events``, with the event as its attribute. Everything is kept in this object: no global provider is set,
and of the environment nothing is read that the libraries do not read by themselves.
What a collector does not take is tried again for a while and then dropped; letters do not wait for it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from opentelemetry.metrics import Counter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricExporter, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.trace import SpanKind, Status, StatusCode

from lokole.ports.callables import Clock

#: to a collector, and until what is left at the end is given up
_TIMEOUT_S = 5
_EVERY_MS = 60_000
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
#: the library calls its maker unless it is told not to: with figures of itself, and for settings from afar
_CALLS_HOME = ("APPLICATIONINSIGHTS_STATSBEAT_DISABLED_ALL", "APPLICATIONINSIGHTS_CONTROLPLANE_DISABLED")

Exporters = tuple[SpanExporter, MetricExporter]


class OpenTelemetry:
    """A ``ports.telemetry.Telemetry`` that hands everything to each pair of ``exporters``; ``clock`` says when a thing ended."""

    def __init__(self, exporters: Sequence[Exporters], *, version: str, instance: str, clock: Clock) -> None:
        # each process counts for itself: with one name for all, a collector would take the counts of one for those of another
        resource = Resource(
            {"service.name": "lokole-server", "service.version": version, "service.instance.id": instance}
        )
        self._clock = clock
        self._spans = TracerProvider(resource=resource, shutdown_on_exit=False)
        for spans, _ in exporters:
            self._spans.add_span_processor(BatchSpanProcessor(spans))
        readers = [
            PeriodicExportingMetricReader(
                metrics, export_interval_millis=_EVERY_MS, export_timeout_millis=_TIMEOUT_S * 1000
            )
            for _, metrics in exporters
        ]
        self._meters = MeterProvider(readers, resource=resource, shutdown_on_exit=False)
        self._tracer = self._spans.get_tracer("lokole", version)
        self._counter: Counter = self._meters.get_meter("lokole", version).create_counter(
            "lokole.events", description="What happened on this server."
        )
        self._is_closed = False

    @classmethod
    def to(
        cls,
        *,
        collector: str | None,
        headers: str | None,
        application_insights: str | None,
        version: str,
        instance: str,
        clock: Clock,
    ) -> OpenTelemetry:
        """To a ``collector`` (its address, and ``headers`` to show it), to ``application_insights`` (a connection string), or to both.

        Raises ValueError, whose words quote no secret.
        """
        exporters = [] if collector is None else [_to_collector(collector, headers)]
        exporters += [] if application_insights is None else [_to_azure_monitor(application_insights)]
        return cls(exporters, version=version, instance=instance, clock=clock)

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        """See the port."""
        method = method if method in _METHODS else "_OTHER"
        told: dict[str, str | int] = {"http.request.method": method, "http.route": route}
        if status:
            told["http.response.status_code"] = status
        self._tell(f"{method} {route}", SpanKind.SERVER, told, seconds, None if 0 < status < 500 else str(status))

    def work(self, kind: str, attempt: int, seconds: float, failed: str | None) -> None:
        """See the port."""
        self._tell(f"work {kind}", SpanKind.CONSUMER, {"lokole.work": kind, "lokole.attempt": attempt}, seconds, failed)

    def count(self, event: str, times: int) -> None:
        """See the port."""
        self._counter.add(times, {"event": event})

    def close(self) -> None:
        """See the port."""
        if self._is_closed:
            return
        self._is_closed = True
        self._spans.shutdown()
        self._meters.shutdown(timeout_millis=_TIMEOUT_S * 1000)

    def _tell(
        self, name: str, kind: SpanKind, told: Mapping[str, str | int], seconds: float, failed: str | None
    ) -> None:
        end = int(self._clock().timestamp() * 1e9)
        span = self._tracer.start_span(name, kind=kind, attributes=told, start_time=end - int(seconds * 1e9))
        if failed is not None:
            span.set_attribute("error.type", failed.partition(" ")[0])
            span.set_status(Status(StatusCode.ERROR, failed))
        span.end(end)


def _to_collector(endpoint: str, headers: str | None) -> Exporters:
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    parts = urlsplit(endpoint)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("a collector is named by an address such as http://127.0.0.1:4318")
    given: dict[str, str] = {}
    for one in (headers or "").split(","):
        name, equals, value = one.partition("=")
        if one.strip() and (not equals or not name.strip()):
            raise ValueError("headers are written NAME=VALUE, with commas between")
        if one.strip():
            given[name.strip()] = value.strip()
    base = endpoint.rstrip("/")
    return (
        OTLPSpanExporter(f"{base}/v1/traces", headers=given, timeout=_TIMEOUT_S),
        OTLPMetricExporter(f"{base}/v1/metrics", headers=given, timeout=_TIMEOUT_S),
    )


def _to_azure_monitor(connection: str) -> Exporters:
    for name in _CALLS_HOME:
        os.environ.setdefault(name, "true")
    from azure.monitor.opentelemetry.exporter import AzureMonitorMetricExporter, AzureMonitorTraceExporter

    # nothing is written to the disk for later: of a server that is cut off the log says more
    options: dict[str, Any] = {
        "connection_string": connection,
        "disable_offline_storage": True,
        "timeout": _TIMEOUT_S,
        "retry_total": 1,
    }
    try:
        return AzureMonitorTraceExporter(**options), AzureMonitorMetricExporter(**options)
    except ValueError:
        said = "a connection string is written InstrumentationKey=…;IngestionEndpoint=https://…"
        raise ValueError(said) from None
