"""What an OTLP receiver answers, in the encoding of the request (https://opentelemetry.io/docs/specs/otlp/#otlphttp-response)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Any, Final

from django.http import HttpResponse
from google.protobuf.json_format import MessageToJson
from google.protobuf.message import Message
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.request import Request

from apps.monitoring.interactions.row import Broken

_TOLD: Final = 10
"""Reasons that an answer gives: an exporter writes them into the agent's log, in one line."""


class Encoding(StrEnum):
    """By their media types."""

    PROTOBUF = "application/x-protobuf"
    JSON = "application/json"


class AsAsked(BaseContentNegotiation):
    """The answer has the encoding of the request, whatever the request says that it accepts."""

    def select_parser(self, request: Request, parsers: Iterable[Any]) -> Any:  # noqa: ARG002 - the framework's signature
        """None is asked: the view reads the body."""
        return None

    def select_renderer(self, request: Request, renderers: Iterable[Any], format_suffix: str | None = None) -> Any:  # noqa: ARG002
        """None is asked either: see `taken` and `failed`."""
        renderer = next(iter(renderers))
        return renderer, renderer.media_type


def encoding_of(request: Request) -> Encoding | None:
    """How the body is encoded; None for anything that OTLP is not."""
    kind = (request.content_type or "").partition(";")[0].strip().lower()
    return Encoding(kind) if kind in set(Encoding) else None


def taken(encoding: Encoding, rejected: Sequence[Broken]) -> HttpResponse:
    """200; with the number of spans that do not count and why, if there are any."""
    answer = ExportTraceServiceResponse()
    if rejected:
        answer.partial_success.rejected_spans = len(rejected)
        answer.partial_success.error_message = _reasons(rejected)
    return _response(encoding, answer, 200)


def failed(encoding: Encoding | None, status: int, detail: str) -> HttpResponse:
    """An error as `google.rpc.Status`."""
    return _response(encoding or Encoding.JSON, Status(message=detail), status)


def _reasons(rejected: Sequence[Broken]) -> str:
    """Each reason once, the most frequent first, with the first span that it holds for."""
    first = {one.reason: one.number for one in reversed(rejected)}
    found = Counter(one.reason for one in rejected).most_common()
    told = [f"{times} spans, the first of them number {first[reason]}: {reason}" for reason, times in found[:_TOLD]]
    return "; ".join([*told, f"and {len(found) - _TOLD} reasons more"] if len(found) > _TOLD else told)


def _response(encoding: Encoding, message: Message, status: int) -> HttpResponse:
    content = MessageToJson(message, indent=None) if encoding is Encoding.JSON else message.SerializeToString()
    return HttpResponse(content, status=status, content_type=encoding.value)
