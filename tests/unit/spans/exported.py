"""Spans as exporters send them, in both encodings of OTLP."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1 import trace_pb2

SECOND = 1_000_000_000
PROTOBUF, JSON = "application/x-protobuf", "application/json"


@dataclass(frozen=True)
class Sent:
    """One span: its attributes, its times in nanoseconds, and the attributes of the resource that it is sent under."""

    attributes: dict[str, Any]
    start: int = 0
    end: int = 0
    status: int = 0
    message: str = ""
    resource: dict[str, Any] = field(default_factory=dict)
    trace_id: bytes = b"\x5b" * 16
    span_id: bytes = b"\xee" * 8


def sent(operation: str | None, end: float, duration: float = 1.0, **more: Any) -> Sent:
    """Times in seconds; the rest as in `Sent`."""
    own = {} if operation is None else {"gen_ai.operation.name": operation}
    attributes = {**own, **more.pop("attributes", {})}
    ended = round(end * SECOND)
    return Sent(attributes, ended - round(duration * SECOND), ended, **more)


def encoded(kind: str, *spans: Sent) -> bytes:
    """The body of one request, each span under a resource and a scope of its own."""
    return protobuf(*spans) if kind == PROTOBUF else as_json(*spans)


def protobuf(*spans: Sent) -> bytes:
    request = ExportTraceServiceRequest()
    for one in spans:
        group = request.resource_spans.add()
        group.resource.attributes.extend(_pairs(one.resource))
        group.scope_spans.add().spans.append(
            trace_pb2.Span(
                trace_id=one.trace_id, span_id=one.span_id, name="a span", attributes=_pairs(one.attributes),
                start_time_unix_nano=one.start, end_time_unix_nano=one.end,
                status=trace_pb2.Status(code=one.status, message=one.message),  # type: ignore[arg-type]
            )
        )  # fmt: skip
    return request.SerializeToString()


def as_json(*spans: Sent) -> bytes:
    groups = [
        {
            "resource": {"attributes": _json_pairs(one.resource), "droppedAttributesCount": 0},
            "scopeSpans": [
                {
                    "scope": {"name": "agent"},
                    "spans": [
                        {
                            "traceId": one.trace_id.hex().upper(), "spanId": one.span_id.hex(), "name": "a span", "kind": 3,
                            "startTimeUnixNano": str(one.start), "endTimeUnixNano": one.end,
                            "attributes": _json_pairs(one.attributes), "status": {"code": one.status, "message": one.message},
                            "aFieldOfTheFuture": {"x": [1]},
                        }
                    ],
                }
            ],
        }
        for one in spans
    ]  # fmt: skip
    return json.dumps({"resourceSpans": groups}).encode()


def _pairs(attributes: dict[str, Any]) -> list[KeyValue]:
    return [KeyValue(key=key, value=_any(value)) for key, value in attributes.items()]


def _any(value: Any) -> AnyValue:
    found = AnyValue()
    if isinstance(value, bool):
        found.bool_value = value
    elif isinstance(value, int):
        found.int_value = value
    elif isinstance(value, float):
        found.double_value = value
    elif isinstance(value, str):
        found.string_value = value
    elif isinstance(value, bytes):
        found.bytes_value = value
    elif isinstance(value, list):
        found.array_value.values.extend(_any(one) for one in value)
    elif isinstance(value, dict):
        found.kvlist_value.values.extend(_pairs(value))
    return found


def _json_pairs(attributes: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"key": key, "value": _json_any(value)} for key, value in attributes.items()]


def _json_any(value: Any) -> dict[str, Any]:
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, float):
        special = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}
        return {"doubleValue": special.get(str(value), value)}
    if isinstance(value, str):
        return {"stringValue": value}
    if isinstance(value, bytes):
        return {"bytesValue": ""}
    if isinstance(value, list):
        return {"arrayValue": {"values": [_json_any(one) for one in value]}}
    return {"kvlistValue": {"values": _json_pairs(value)}} if isinstance(value, dict) else {}
