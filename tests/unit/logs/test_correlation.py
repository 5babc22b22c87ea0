"""A line carries the request and the trace that it was made in."""

from __future__ import annotations

import asyncio
import json
import re
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

from apps.monitoring import logs
from apps.monitoring.logs.context import current
from apps.monitoring.logs.middleware import RequestIdMiddleware

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
TRACE = {"trace_id": "4bf92f3577b34da6a3ce929d0e0e4736", "span_id": "00f067aa0ba902b7"}


def request(**headers: str) -> HttpRequest:
    return RequestFactory().get("/", headers={name.replace("_", "-"): value for name, value in headers.items()})


def seen(given: HttpRequest) -> tuple[Mapping[str, object], HttpResponse]:
    """What is known during a synchronous request, and its answer."""
    found: list[Any] = []

    def respond(_: HttpRequest) -> HttpResponse:
        found.append(current())
        return HttpResponse()

    response = RequestIdMiddleware(respond)(given)
    assert isinstance(response, HttpResponse)
    return found[0], response


def test_the_id_of_the_request_is_kept_and_answered() -> None:
    known, response = seen(request(X_Request_ID="abc-123"))
    assert known == {"request_id": "abc-123"}
    assert response.headers["X-Request-ID"] == "abc-123"
    assert current() is None


@pytest.mark.parametrize("given", ["", "a b", "x" * 129, "mia@example.com", "<script>", "a\u00e9"])
def test_a_request_without_a_plain_id_gets_one(given: str) -> None:
    known, response = seen(request(X_Request_ID=given))
    assert re.fullmatch("[0-9a-f]{32}", response.headers["X-Request-ID"])
    assert known["request_id"] == response.headers["X-Request-ID"]


def test_the_trace_of_the_request_is_known() -> None:
    assert seen(request(X_Request_ID="a", traceparent=PARENT))[0] == {"request_id": "a", **TRACE}
    assert seen(request(X_Request_ID="a", traceparent="01" + PARENT[2:] + "-more"))[0] == {"request_id": "a", **TRACE}


@pytest.mark.parametrize(
    "given", ["", "garbage", "ff" + PARENT[2:], PARENT.replace("4bf92f3577b34da6a3ce929d0e0e4736", "0" * 32), PARENT.upper()]
)
def test_a_trace_that_is_none_is_not_known(given: str) -> None:
    assert seen(request(X_Request_ID="a", traceparent=given))[0] == {"request_id": "a"}


def test_asynchronous_requests_do_not_mix() -> None:
    found: dict[str, Any] = {}

    async def respond(given: HttpRequest) -> HttpResponse:
        await asyncio.sleep(0.01)
        found[given.headers["X-Request-ID"]] = await sync_to_async(current)()
        return HttpResponse()

    async def several() -> None:
        middleware = RequestIdMiddleware(respond)
        await asyncio.gather(*(middleware(request(X_Request_ID=f"r-{n}")) for n in range(20)))  # type: ignore[arg-type]

    # A thread of its own: the browser tests leave an event loop running in this one.
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, several()).result()
    assert found == {f"r-{n}": {"request_id": f"r-{n}"} for n in range(20)}


def test_a_thread_of_its_own_belongs_to_no_request() -> None:
    found: list[object] = []
    with logs.bind_request_id("r-1"):
        thread = threading.Thread(target=lambda: found.append(current()))
        thread.start()
        thread.join()
    assert found == [None]


def test_the_span_of_opentelemetry_goes_first() -> None:
    tracer = TracerProvider().get_tracer("test")
    with logs.bind_trace("f" * 32), tracer.start_as_current_span("answer") as span:
        known = current()
    assert known == {"trace_id": span.get_span_context().trace_id, "span_id": span.get_span_context().span_id}


def test_a_span_that_does_not_record_still_names_its_trace() -> None:
    remote = trace.NonRecordingSpan(trace.SpanContext(7, 8, is_remote=True))
    with trace.use_span(remote):
        assert current() == {"trace_id": 7, "span_id": 8}


def test_a_broken_tracing_library_costs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trace, "get_current_span", lambda: None)
    with logs.bind_request_id("r-1"):
        assert current() == {"request_id": "r-1"}


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "agent.log"
    logs.configure(path=str(path))
    yield path
    logs.configure(path="")


def test_a_line_says_the_request_and_the_trace(log: Path, settings: Any) -> None:
    from apps.monitoring import get_agent_monitor
    from apps.monitoring.ingest import recorder

    settings.MONITORING_LOG_PATH = str(log)
    recorder._begin_anew()
    with logs.bind_request_id("r-1"), logs.bind_trace("f" * 32):
        get_agent_monitor("acme").log_and_record_error("crm")
    recorder.recorder()._drain(5)
    assert logs.drain(20)
    (line,) = [json.loads(line) for line in log.read_text().splitlines()]
    assert line["request_id"] == "r-1"
    assert line["trace_id"] == "f" * 32
    assert "span_id" not in line
