"""OpenTelemetry traces, if a collector is configured."""

from __future__ import annotations

import os
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

import motet
from motet.datasets import OFFLINE_VARIABLE, is_offline
from motet.errors import MissingExtraError, RequestError
from motet.service.api._middleware import method_of, route_of

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

__all__ = ["Traces", "open_traces"]

_WHERE: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")


def open_traces() -> TracerProvider | None:
    """The tracer provider of the environment variables of OpenTelemetry; None without a collector.

    A separate thread sends spans over HTTP, so a slow or missing collector delays no request.

    Raises:
        MissingExtraError: If a collector is named, and the packages are not there.
        RequestError: If a collector is named, and calls that leave the machine are forbidden.
    """
    named = next((name for name in _WHERE if os.environ.get(name)), None)
    if named is None:
        return None
    if find_spec("opentelemetry") is None or find_spec("opentelemetry.sdk") is None:
        raise MissingExtraError("opentelemetry", "traces")
    if is_offline():
        raise RequestError(
            f"{named} names a collector of traces, and {OFFLINE_VARIABLE} forbids calls", f"unset {named}"
        )
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
    from opentelemetry.sdk.trace import TracerProvider as Provider  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

    provider = Provider(
        resource=Resource.create({"service.name": "motet", "service.version": motet.__version__})
    )
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider


class Traces:
    """A span for each request: its route, its status and its id, and nothing of its content.

    A ``traceparent`` header is continued.

    Args:
        app: The application.
        provider: Receives the spans.
    """

    def __init__(self, app: ASGIApp, provider: TracerProvider) -> None:
        self._app, self._tracer = app, provider.get_tracer("motet")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, in a span."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        from opentelemetry.propagate import extract  # noqa: PLC0415 (an extra)
        from opentelemetry.trace import SpanKind, StatusCode  # noqa: PLC0415

        status = 500

        async def send_on(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        # The message of an error may hold user data: it stays out of the span.
        with self._tracer.start_as_current_span(
            method_of(scope),
            context=extract(dict(Headers(scope=scope))),
            kind=SpanKind.SERVER,
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            try:
                await self._app(scope, receive, send_on)
            finally:
                route = route_of(scope)
                span.update_name(f"{scope['method']} {route}")
                span.set_attribute("http.request.method", scope["method"])
                span.set_attribute("http.route", route)
                span.set_attribute("http.response.status_code", status)
                span.set_attribute("motet.request_id", scope.get("motet.request_id", ""))
                if status >= 500:
                    span.set_status(StatusCode.ERROR)
