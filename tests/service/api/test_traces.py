"""Traces, sent to a collector that listens on this machine."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from fastapi.testclient import TestClient
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from motet.errors import RequestError
from motet.service.api import build_app, open_traces
from motet.service.engine import Engine

CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Collector(ThreadingHTTPServer):
    """Keeps the spans that it is sent."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Sent)
        self.spans: list[Any] = []


class Sent(BaseHTTPRequestHandler):
    """One sending."""

    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            for scope in resource.scope_spans:
                self.server.spans += scope.spans
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *words: Any) -> None:
        """Nothing on standard error."""


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    with Collector() as found:
        threading.Thread(target=found.serve_forever, daemon=True).start()
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{found.server_address[1]}")
        yield found
        found.shutdown()


def test_a_request_is_a_span_that_names_nobody(engine: Engine, collector: Collector) -> None:
    provider = open_traces()
    assert provider is not None
    with TestClient(build_app(engine, traces=provider), base_url="http://127.0.0.1") as client:
        client.get("/v1/users/u1/profile", headers={"traceparent": CALLER, "X-Request-Id": "mine-1"})
        client.get("/v1/items/none-such/similar")
    # The application sent what waited when it stopped.
    first, second = collector.spans
    assert first.name == "GET /v1/users/{id}/profile"
    assert first.trace_id.hex() == "0af7651916cd43dd8448eb211c80319c"
    assert first.parent_span_id.hex() == "b7ad6b7169203331"
    assert first.end_time_unix_nano > first.start_time_unix_nano
    recorded = {one.key: one.value.string_value or one.value.int_value for one in first.attributes}
    assert recorded == {
        "http.request.method": "GET",
        "http.route": "/v1/users/{id}/profile",
        "http.response.status_code": 200,
        "motet.request_id": "mine-1",
    }
    assert "none-such" not in str(second)
    assert 404 in [one.value.int_value for one in second.attributes]


def test_nothing_is_traced_unless_a_collector_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT", raising=False)
    assert open_traces() is None
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    monkeypatch.setenv("MOTET_OFFLINE", "1")
    with pytest.raises(RequestError, match=r"OTEL_EXPORTER_OTLP_ENDPOINT.*MOTET_OFFLINE.*unset"):
        open_traces()
