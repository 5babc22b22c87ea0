"""One interaction told to each library: the same ten updates, as its documentation says to do it.

Interactions, those answered, those with tokens, tokens of two kinds, cost, model and intent are counted, response time and
confidence observed. AgentMonitor counts distinct conversations and writes a log line as well.
"""

from __future__ import annotations

import io
import logging
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson
import redis
import structlog
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from prometheus_client import CollectorRegistry, Counter, Histogram
from pythonjsonlogger.json import JsonFormatter
from statsd import StatsClient

TENANT, MODEL, INTENT = "bench", "gpt-4o", "refund"
BUCKETS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0)
TOKENS = {"input": 812, "output": 96}

Tell = Callable[[float], None]
"""Tells one interaction that took this many seconds."""


@dataclass(frozen=True)
class Peer:
    name: str
    tell: Tell


def prometheus() -> Peer:
    registry = CollectorRegistry()
    interactions = Counter("interactions", "n", ["tenant"], registry=registry)
    answered = Counter("answered", "n", ["tenant"], registry=registry)
    with_tokens = Counter("with_tokens", "n", ["tenant"], registry=registry)
    response = Histogram("response", "s", ["tenant"], buckets=BUCKETS, registry=registry)
    tokens = Counter("tokens", "n", ["tenant", "kind"], registry=registry)
    cost = Counter("cost", "usd", ["tenant", "model"], registry=registry)
    models = Counter("models", "n", ["tenant", "model"], registry=registry)
    confidence = Histogram("confidence", "0-1", ["tenant"], registry=registry)
    intents = Counter("intents", "n", ["tenant", "intent"], registry=registry)

    def tell(seconds: float) -> None:
        interactions.labels(TENANT).inc()
        answered.labels(TENANT).inc()
        with_tokens.labels(TENANT).inc()
        response.labels(TENANT).observe(seconds)
        for kind, number in TOKENS.items():
            tokens.labels(TENANT, kind).inc(number)
        cost.labels(TENANT, MODEL).inc(0.0021)
        models.labels(TENANT, MODEL).inc()
        confidence.labels(TENANT).observe(0.93)
        intents.labels(TENANT, INTENT).inc()

    return Peer("prometheus_client", tell)


def opentelemetry() -> Peer:
    meter = MeterProvider(metric_readers=[InMemoryMetricReader()]).get_meter("bench")
    interactions, tokens, cost = meter.create_counter("i"), meter.create_counter("t"), meter.create_counter("c")
    models, intents = meter.create_counter("m"), meter.create_counter("in")
    answered, with_tokens = meter.create_counter("ia"), meter.create_counter("it")
    response, confidence = meter.create_histogram("r"), meter.create_histogram("cf")

    def tell(seconds: float) -> None:
        tenant = {"tenant": TENANT}
        interactions.add(1, tenant)
        answered.add(1, tenant)
        with_tokens.add(1, tenant)
        response.record(seconds, tenant)
        for kind, number in TOKENS.items():
            tokens.add(number, {"tenant": TENANT, "kind": kind})
        cost.add(0.0021, {"tenant": TENANT, "model": MODEL})
        models.add(1, {"tenant": TENANT, "model": MODEL})
        confidence.record(0.93, tenant)
        intents.add(1, {"tenant": TENANT, "intent": INTENT})

    return Peer("OpenTelemetry SDK", tell)


def statsd() -> Peer:
    listener = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    listener.bind(("127.0.0.1", 0))
    client = StatsClient("127.0.0.1", listener.getsockname()[1])

    def tell(seconds: float) -> None:
        with client.pipeline() as pipe:
            pipe.incr(f"{TENANT}.interactions")
            pipe.incr(f"{TENANT}.answered")
            pipe.incr(f"{TENANT}.with_tokens")
            pipe.timing(f"{TENANT}.response", seconds * 1_000)
            for kind, number in TOKENS.items():
                pipe.incr(f"{TENANT}.tokens.{kind}", number)
            pipe.incr(f"{TENANT}.cost.{MODEL}", 2_100_000)
            pipe.incr(f"{TENANT}.models.{MODEL}")
            pipe.timing(f"{TENANT}.confidence", 930)
            pipe.incr(f"{TENANT}.intents.{INTENT}")
        listener.recv(65_536)

    return Peer("statsd (UDP pipeline)", tell)


def redis_pipeline(url: str) -> Peer:
    client = redis.Redis.from_url(url)

    def tell(seconds: float) -> None:
        pipe = client.pipeline(transaction=False)
        key = f"bench:{TENANT}"
        pipe.hincrby(key, "interactions", 1)
        pipe.hincrby(key, "answered", 1)
        pipe.hincrby(key, "with_tokens", 1)
        pipe.hincrby(key, f"response:{int(seconds * 10)}", 1)
        for kind, number in TOKENS.items():
            pipe.hincrby(key, f"tokens:{kind}", number)
        pipe.hincrby(key, f"cost:{MODEL}", 2_100_000)
        pipe.hincrby(key, f"models:{MODEL}", 1)
        pipe.hincrby(key, "confidence:93", 1)
        pipe.hincrby(key, f"intents:{INTENT}", 1)
        pipe.execute()

    return Peer("Redis pipeline, one round trip", tell)


def line(seconds: float) -> dict[str, Any]:
    return {
        "conversation_id": "c-1", "tenant_id": TENANT, "model_used": MODEL, "processing_time_ms": seconds * 1_000,
        "confidence_score": 0.93, "estimated_cost": 0.0021, "intent": INTENT, "token_usage": TOKENS,
        "customer_message": "Where is my refund?", "agent_response": "It is on its way.",
    }  # fmt: skip


def structured() -> Peer:
    """As fast as its documentation knows: https://www.structlog.org/en/stable/performance.html."""
    logger = structlog.wrap_logger(
        structlog.BytesLogger(io.BytesIO()),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.processors.JSONRenderer(serializer=orjson.dumps),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        cache_logger_on_first_use=True,
    ).bind()
    return Peer("structlog, one log line", lambda seconds: logger.info("Agent interaction", **line(seconds)))


def json_logger() -> Peer:
    handler = logging.StreamHandler(io.StringIO())
    handler.setFormatter(JsonFormatter())
    logger = logging.Logger("bench")
    logger.addHandler(handler)
    return Peer("python-json-logger, one log line", lambda seconds: logger.info("Agent interaction", extra=line(seconds)))
