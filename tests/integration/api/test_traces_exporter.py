"""OpenTelemetry's own SDK and exporter send to a server over HTTP: as they are set up, and as they try again."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Status, StatusCode
from pytest_django.live_server_helper import LiveServer

from apps.monitoring.ingest import recorder
from apps.monitoring.models import ApiToken
from tests.faults.proxy import Proxy
from tests.integration.api.conftest import NOBODY_LISTENS, bearer
from tests.integration.api.posting import recorded
from tests.patience import eventually

pytestmark = pytest.mark.usefixtures("stores")

DOCS = Path(__file__).resolve().parents[3] / "docs" / "opentelemetry.md"


@pytest.fixture
def secret(stores: None) -> str:
    return ApiToken.issue("an agent", "", can_record=True)[1]


def traced(exporter: OTLPSpanExporter) -> TracerProvider:
    provider = TracerProvider(resource=Resource.create({"tenant.id": "airline", "service.name": "agent"}))
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return provider


def converse(provider: TracerProvider, turns: int = 3) -> None:
    """Turns with a call and a search each; the last one fails."""
    tracer = provider.get_tracer("an agent")
    for number in range(turns):
        asked = {"gen_ai.operation.name": "invoke_agent", "gen_ai.conversation.id": f"c-{number % 2}"}
        with tracer.start_as_current_span("invoke_agent front", attributes=asked) as agent:
            with tracer.start_as_current_span("retrieval faq", attributes={"gen_ai.operation.name": "retrieval"}) as search:
                search.set_attribute("agent_monitor.result_count", number)
                search.set_attribute("agent_monitor.similarity_scores", [0.5] * number)
            with tracer.start_as_current_span("chat gpt-4o") as call:
                call.set_attributes(
                    {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": "gpt-4o"}
                )
                call.set_attributes({"gen_ai.usage.input_tokens": 100, "gen_ai.usage.output_tokens": 10})
            if number == turns - 1:
                agent.set_status(Status(StatusCode.ERROR, "it broke"))
        with tracer.start_as_current_span("GET /"):
            pass


def check() -> None:
    read = bearer("airline").get("/api/v1/metrics/summary").json()
    assert read["interactions"] == {"total": 3, "answered": 2}
    assert read["errors"]["by_operation"] == {"invoke_agent": 1}
    assert (read["llm_calls"]["total"], read["llm_calls"]["error_rate"]) == (3, 0)
    assert read["knowledge_base"]["total_searches"] == 3
    assert read["knowledge_base"]["hit_rate"] == pytest.approx(2 / 3)
    assert read["token_usage"]["conversation_count"] == 2


@pytest.mark.parametrize("compression", [Compression.NoCompression, Compression.Gzip])
def test_what_the_exporter_sends_counts(live_server: LiveServer, secret: str, compression: Compression) -> None:
    exporter = OTLPSpanExporter(
        f"{live_server.url}/v1/traces", headers={"Authorization": f"Bearer {secret}"}, compression=compression
    )
    provider = traced(exporter)
    converse(provider)
    assert provider.force_flush()
    check()


def test_the_settings_of_the_page_are_enough(live_server: LiveServer, secret: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (block,) = re.findall(r"```sh\n((?:export OTEL_.*\n)+)```", DOCS.read_text())
    for name, value in re.findall(r'export (OTEL_\w+)="(.*)"', block):
        shown = value.replace("https://monitoring.example.com", live_server.url).replace("amt_…", quote(secret))
        monkeypatch.setenv(name, shown.replace("tenant.id=airline", "tenant.id=retail"))
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    converse(provider)
    assert provider.force_flush()
    assert recorded("retail") == 3


@pytest.fixture
def between(live_server: LiveServer) -> Iterator[Proxy]:
    with Proxy(urlsplit(live_server.url).port or 0, seed=5) as proxy:
        yield proxy


def flushing(provider: TracerProvider) -> threading.Thread:
    thread = threading.Thread(target=provider.force_flush, args=(60_000,))
    thread.start()
    return thread


def test_an_answer_that_is_lost_is_asked_for_again_and_counts_once(between: Proxy, secret: str) -> None:
    exporter = OTLPSpanExporter(
        f"http://127.0.0.1:{between.port}/v1/traces", headers={"Authorization": f"Bearer {secret}"}, timeout=60
    )
    between.cut_answer = 1.0
    provider = traced(exporter)
    converse(provider)
    thread = flushing(provider)
    eventually("an answer is lost", lambda: between.faults and recorded())
    between.calm()
    thread.join(60)
    assert not thread.is_alive()
    provider.shutdown()
    check()


def test_what_comes_while_the_hot_store_is_away_counts_once_when_it_is_back(
    live_server: LiveServer, secret: str, settings: Any, redis_url: str
) -> None:
    counters = recorder.recorder().flusher.counters
    exporter = OTLPSpanExporter(f"{live_server.url}/v1/traces", headers={"Authorization": f"Bearer {secret}"}, timeout=60)
    provider = traced(exporter)
    converse(provider)
    settings.REDIS_URL = f"redis://127.0.0.1:{NOBODY_LISTENS}/0"
    thread = flushing(provider)
    eventually("the exporter is told to come again", lambda: counters["batches_unconfirmed"])
    settings.REDIS_URL = redis_url
    thread.join(60)
    assert not thread.is_alive()
    provider.shutdown()
    check()
