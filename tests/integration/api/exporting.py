"""Spans on their way to `POST /v1/traces`, and what is answered."""

from __future__ import annotations

import json
import time
from typing import Any

from django.test import Client
from google.protobuf.json_format import Parse
from google.protobuf.message import Message
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from tests.unit.spans.exported import PROTOBUF, Sent, encoded, sent

PATH = "/v1/traces"
KINDS = (PROTOBUF, "application/json")


def export(client: Client, *spans: Sent, kind: str = PROTOBUF, **headers: str) -> Any:
    return send(client, encoded(kind, *spans), kind, **headers)


def send(client: Client, content: bytes, kind: str = PROTOBUF, **headers: str) -> Any:
    # The test client says nothing of the type of an empty body.
    return client.generic("POST", PATH, content, content_type=kind, headers={"content-type": kind, **headers})


def turn(number: int = 0, **attributes: Any) -> Sent:
    """An agent's span, that ended just now and took as many milliseconds beyond a hundred."""
    own = {"gen_ai.conversation.id": f"c-{number}", **attributes}
    return sent("invoke_agent", round(time.time()) - 1, 0.1 + number / 1_000, attributes=own)


def rejected(answer: Any) -> tuple[int, str]:
    """How many of the spans do not count, and why."""
    assert answer.status_code == 200, answer.content
    told = read(answer, ExportTraceServiceResponse())
    return told.partial_success.rejected_spans, told.partial_success.error_message


def failure(answer: Any, status: int) -> str:
    """The message of an error, in the encoding of the request."""
    assert answer.status_code == status, answer.content
    return str(read(answer, Status()).message)


def read(answer: Any, message: Any) -> Any:
    kind = answer["content-type"]
    found: Message = message
    if kind == PROTOBUF:
        found.ParseFromString(answer.content)
    else:
        assert kind == "application/json"
        assert isinstance(json.loads(answer.content), dict)
        Parse(answer.content, found)
    return found
