"""Spans of an ``ExportTraceServiceRequest`` in OTLP's JSON.

It is Protobuf's JSON but for ids, which are hexadecimal, and enumerations, which are numbers; fields that are not known are
passed over (https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import Any, Final

import orjson

from apps.monitoring.core.depth import DEEPEST
from apps.monitoring.interactions.batch import UnreadableError, check_brackets
from apps.monitoring.spans.span import Attributes, Span

_ERROR: Final = (2, "STATUS_CODE_ERROR")
"""Some senders give the name, as Protobuf's own JSON does."""
_WHOLE: Final = re.compile(r"-?\d{1,20}\Z", re.ASCII)
_IDS: Final = {"traceId": re.compile(r"[0-9a-fA-F]{32}\Z"), "spanId": re.compile(r"[0-9a-fA-F]{16}\Z")}
_NUMBERS: Final = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}


def spans(content: bytes, wanted: Collection[str]) -> Iterator[Span]:
    """Each in its order, with those attributes alone. Raises UnreadableError and TooManyError."""
    check_brackets(content)
    try:
        body = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise UnreadableError(f"The body is no JSON: {error}") from None
    if not isinstance(body, dict):
        raise UnreadableError("The body is no JSON object.")
    for of_resource in _messages(body, "resourceSpans"):
        resource = _attributes(_message(of_resource, "resource"), wanted)
        for of_scope in _messages(of_resource, "scopeSpans"):
            for one in _messages(of_scope, "spans"):
                yield _span(one, resource, wanted)


def _span(read: dict[str, Any], resource: Attributes, wanted: Collection[str]) -> Span:
    status = _message(read, "status")
    message = status.get("message")
    return Span(
        _attributes(read, wanted),
        resource,
        _whole(read, "startTimeUnixNano"),
        _whole(read, "endTimeUnixNano"),
        status.get("code") in _ERROR,
        message if isinstance(message, str) else "",
        _id(read, "traceId"),
        _id(read, "spanId"),
    )


def _attributes(read: dict[str, Any], wanted: Collection[str]) -> dict[str, Any]:
    pairs = ((one.get("key"), one.get("value")) for one in _messages(read, "attributes"))
    return {key: _value(value) for key, value in pairs if isinstance(key, str) and key in wanted}


def _value(read: Any, depth: int = 0) -> Any:
    """Plain Python of an AnyValue; what is none, or nested deeper than anything that is meant, is None."""
    if not isinstance(read, dict) or depth > DEEPEST:
        return None
    for kind, value in read.items():
        if kind == "intValue":
            return int(value) if isinstance(value, str) and _WHOLE.match(value) else value
        if kind == "doubleValue":
            return _double(value)
        if kind == "arrayValue":
            return [_value(one, depth + 1) for one in _list(value, "values")]
        if kind == "kvlistValue":
            pairs = (one for one in _list(value, "values") if isinstance(one, dict) and isinstance(one.get("key"), str))
            return {one["key"]: _value(one.get("value"), depth + 1) for one in pairs}
        if kind in {"stringValue", "boolValue", "bytesValue"}:
            return value
    return None


def _double(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    if value in _NUMBERS:
        return _NUMBERS[value]
    try:
        return float(value)
    except ValueError:
        return value  # which is no number, and will be refused as one


def _whole(read: dict[str, Any], name: str) -> int:
    """A 64-bit number, which JSON has as a text or a number; missing is 0. Raises UnreadableError."""
    value = read.get(name)
    if value is None:
        return 0
    if isinstance(value, str) and _WHOLE.match(value):
        return int(value)
    if type(value) is int:
        return value
    raise UnreadableError(f"The body is no ExportTraceServiceRequest: {name} is no whole number.")


def _id(read: dict[str, Any], name: str) -> str:
    value = read.get(name)
    return value.lower() if isinstance(value, str) and _IDS[name].match(value) else ""


def _message(read: dict[str, Any], name: str) -> dict[str, Any]:
    value = read.get(name)
    if value is not None and not isinstance(value, dict):
        raise UnreadableError(f"The body is no ExportTraceServiceRequest: {name} is no object.")
    return value or {}


def _messages(read: dict[str, Any], name: str) -> list[dict[str, Any]]:
    values = _list(read, name)
    if not all(isinstance(value, dict) for value in values):
        raise UnreadableError(f"The body is no ExportTraceServiceRequest: {name} has what is no object.")
    return values


def _list(read: Any, name: str) -> list[Any]:
    values = read.get(name) if isinstance(read, dict) else None
    if values is not None and not isinstance(values, list):
        raise UnreadableError(f"The body is no ExportTraceServiceRequest: {name} is no list.")
    return values or []
