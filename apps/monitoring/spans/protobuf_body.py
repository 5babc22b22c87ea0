"""Spans of an ``ExportTraceServiceRequest`` in Protobuf's binary form.

The levels above the spans are walked by hand and each span is read by itself: read at once, 8 MB of empty messages would be
hundreds of megabytes of objects (https://protobuf.dev/programming-guides/encoding).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any, Final

from google.protobuf.message import DecodeError
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1 import trace_pb2

from apps.monitoring.core.depth import DEEPEST
from apps.monitoring.interactions.batch import TooManyError, UnreadableError
from apps.monitoring.spans.span import Attributes, Span

MOST_FIELDS: Final = 100_000
"""Of all levels above the spans: ten thousand spans, each with a resource and a scope of its own, have less."""
LARGEST: Final = 1024 * 1024
"""Bytes of one span, or of one resource: empty attributes take twenty times their bytes."""
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_SEVEN_BITS: Final = 0x7F
_LONGEST_VARINT: Final = 70
_RESOURCE_SPANS, _RESOURCE, _SCOPE_SPANS, _SPANS = 1, 1, 2, 2
_LENGTHS = {"trace_id": 16, "span_id": 8}


def spans(content: bytes, wanted: Collection[str]) -> Iterator[Span | None]:
    """Each in its order, with those attributes alone; None for one that is too large.

    Raises UnreadableError and TooManyError.
    """
    walk = _Walk()
    for _, of_resource in walk.fields(content, {_RESOURCE_SPANS}):
        found = list(walk.fields(of_resource, {_RESOURCE, _SCOPE_SPANS}))
        # What comes in several pieces is one message: Protobuf merges it.
        resource = b"".join(part for number, part in found if number == _RESOURCE)
        if len(resource) > LARGEST:
            raise TooManyError(f"A resource has more than {LARGEST:,} bytes.")
        told = _attributes(_read(Resource(), resource).attributes, wanted)
        for number, of_scope in found:
            if number == _SCOPE_SPANS:
                for _, one in walk.fields(of_scope, {_SPANS}):
                    yield _span(one, told, wanted) if len(one) <= LARGEST else None


def _span(content: bytes, resource: Attributes, wanted: Collection[str]) -> Span:
    read = _read(trace_pb2.Span(), content)
    return Span(
        _attributes(read.attributes, wanted),
        resource,
        read.start_time_unix_nano,
        read.end_time_unix_nano,
        read.status.code == trace_pb2.Status.STATUS_CODE_ERROR,
        read.status.message,
        read.trace_id.hex() if len(read.trace_id) == _LENGTHS["trace_id"] else "",
        read.span_id.hex() if len(read.span_id) == _LENGTHS["span_id"] else "",
    )


def _read(message: Any, content: bytes) -> Any:
    try:
        message.ParseFromString(content)
    except DecodeError as error:
        raise UnreadableError(f"The body is no ExportTraceServiceRequest: {error}") from None
    return message


def _attributes(read: Collection[KeyValue], wanted: Collection[str]) -> dict[str, Any]:
    return {one.key: _value(one.value) for one in read if one.key in wanted}


def _value(read: AnyValue, depth: int = 0) -> Any:
    """Plain Python; what is nested deeper than anything that is meant is None."""
    kind = read.WhichOneof("value")
    if kind is None or depth > DEEPEST:
        return None
    if kind == "array_value":
        return [_value(one, depth + 1) for one in read.array_value.values]
    if kind == "kvlist_value":
        return {one.key: _value(one.value, depth + 1) for one in read.kvlist_value.values}
    return getattr(read, kind)


class _Walk:
    """Through the fields of messages; it ends after so many."""

    def __init__(self) -> None:
        self._left = MOST_FIELDS

    def fields(self, content: bytes, numbers: Collection[int]) -> Iterator[tuple[int, bytes]]:
        """Number and bytes of each message with one of these numbers. Raises UnreadableError and TooManyError."""
        at = 0
        while at < len(content):
            self._left -= 1
            if self._left < 0:
                raise TooManyError(f"The batch has more than {MOST_FIELDS:,} resources, scopes and spans.")
            key, at = _varint(content, at)
            kind = key & 7
            if kind == _VARINT:
                _, at = _varint(content, at)
            elif kind in {_FIXED64, _FIXED32}:
                at += 8 if kind == _FIXED64 else 4
            elif kind == _BYTES:
                size, start = _varint(content, at)
                at = start + size
                if key >> 3 in numbers and at <= len(content):
                    yield key >> 3, content[start:at]
            else:
                raise UnreadableError(f"The body is no ExportTraceServiceRequest: there is no wire type {kind}.")
        if at > len(content):
            raise UnreadableError("The body is no ExportTraceServiceRequest: a field ends behind its message.")


def _varint(content: bytes, at: int) -> tuple[int, int]:
    """A number, and where the next field begins."""
    found = shift = 0
    while at < len(content) and shift < _LONGEST_VARINT:
        byte = content[at]
        found |= (byte & _SEVEN_BITS) << shift
        at += 1
        if byte <= _SEVEN_BITS:
            return found, at
        shift += 7
    raise UnreadableError("The body is no ExportTraceServiceRequest: a number in it does not end.")
