"""Both encodings say the same, and no body costs more than its bytes."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import time
from contextlib import nullcontext, suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.monitoring.interactions.batch import TooManyError, UnreadableError
from apps.monitoring.spans import conventions, json_body, protobuf_body
from apps.monitoring.spans.span import Span
from tests.unit.spans.exported import Sent, as_json, protobuf

NAMES = sorted(conventions.READ)
texts = st.text(max_size=5)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
attributes = st.dictionaries(st.sampled_from([*NAMES, "another", "tenant.id"]), values, max_size=6)
spans = st.builds(
    Sent, attributes, st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1), st.sampled_from([0, 1, 2]), texts, attributes
)


def plain(span: Span | None) -> Any:
    """NaN is equal to itself here."""
    assert span is not None
    return json.loads(
        json.dumps(span, default=lambda one: {name: getattr(one, name) for name in one.__slots__}), parse_constant=str
    )


@given(st.lists(spans, max_size=5))
def test_both_encodings_say_the_same(sent: list[Sent]) -> None:
    wanted = {*NAMES, "tenant.id"}
    binary = [plain(one) for one in protobuf_body.spans(protobuf(*sent), wanted)]
    assert binary == [plain(one) for one in json_body.spans(as_json(*sent), wanted)]
    assert [one["attributes"].keys() for one in binary] == [one.attributes.keys() - {"another"} for one in sent]
    assert [(one["start"], one["end"], one["is_error"]) for one in binary] == [
        (one.start, one.end, one.status == 2) for one in sent
    ]
    assert all((one["trace_id"], one["span_id"]) == ("5b" * 16, "ee" * 8) for one in binary)


@given(
    st.binary(max_size=60) | spans.map(protobuf).flatmap(lambda whole: st.integers(0, len(whole)).map(lambda cut: whole[:cut]))
)
def test_any_bytes_are_spans_or_are_refused(content: bytes) -> None:
    for read in (protobuf_body.spans, json_body.spans):
        with suppress(UnreadableError):
            assert all(isinstance(one, Span) for one in read(content, conventions.READ))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from(["resourceSpans", "resource", "scopeSpans", "spans", "attributes", "key", "value", "values", "status", "code", "intValue", "arrayValue", "kvlistValue", "endTimeUnixNano", "traceId"]), inner, max_size=4),
    max_leaves=20,
)  # fmt: skip


@given(json_values)
def test_any_json_is_spans_or_is_refused(value: Any) -> None:
    with suppress(UnreadableError):
        assert all(isinstance(one, Span) for one in json_body.spans(json.dumps(value).encode(), {"", "key"}))


def one_json(**fields: Any) -> list[Span]:
    body = {"resourceSpans": [{"scopeSpans": [{"spans": [fields]}]}]}
    return list(json_body.spans(json.dumps(body).encode(), {"a"}))


@pytest.mark.parametrize(
    ("value", "read"),
    [
        ({"intValue": "12"}, 12), ({"intValue": 12}, 12), ({"intValue": "1e3"}, "1e3"), ({"doubleValue": "NaN"}, math.nan),
        ({"doubleValue": "1.5"}, 1.5), ({"doubleValue": "x"}, "x"), ({"future": 1, "stringValue": "x"}, "x"), ({}, None), (5, None),
        ({"arrayValue": {}}, []), ({"arrayValue": None}, []), ({"kvlistValue": {"values": [{"key": "k", "value": {"boolValue": True}}, {}]}}, {"k": True}),
    ],
)  # fmt: skip
def test_json_has_numbers_as_texts_or_numbers(value: Any, read: Any) -> None:
    (found,) = one_json(attributes=[{"key": "a", "value": value}])
    assert plain(found)["attributes"] == json.loads(json.dumps({"a": read}), parse_constant=str)


@pytest.mark.parametrize(
    "fields", [{"endTimeUnixNano": "soon"}, {"endTimeUnixNano": 1.5}, {"attributes": {}}, {"attributes": [5]}, {"status": "ok"}]
)
def test_json_of_another_shape_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(UnreadableError):
        one_json(**fields)


def test_ids_that_are_none_are_left_out_and_the_name_of_a_status_is_taken() -> None:
    (found,) = one_json(traceId="5B8EFFF798038103D269B633813FC60", spanId=5, status={"code": "STATUS_CODE_ERROR"})
    assert (found.trace_id, found.span_id, found.is_error) == ("", "", True)


def nested(field: int, content: bytes) -> bytes:
    return bytes([field << 3 | 2]) + varint(len(content)) + content


def varint(number: int) -> bytes:
    found = b""
    while number > 0x7F:
        found += bytes([number & 0x7F | 0x80])
        number >>= 7
    return found + bytes([number])


EIGHT_MB = 8 * 1024 * 1024
EMPTY = b"\x0a\x00" * (EIGHT_MB // 2)


@pytest.mark.parametrize(
    ("content", "refused"),
    [
        (EMPTY, TooManyError),
        (nested(1, b"\x12\x00" * (EIGHT_MB // 2)), TooManyError),
        (nested(1, EMPTY), TooManyError),
        (nested(1, nested(2, b"\x12\x00" * (EIGHT_MB // 2))), TooManyError),
        (nested(1, nested(2, nested(2, b"\x4a\x00" * (EIGHT_MB // 2)))), None),
        (b"".join(nested(1, nested(2, nested(2, b"\x4a\x00" * 500_000))) for _ in range(8)), None),
        (b"\xff" * EIGHT_MB, UnreadableError),
        (nested(1, nested(2, nested(2, nested(9, b"\x12\x02\x2a\x00" * 60)))), None),
    ],
    ids=["resources", "scopes", "of one resource", "spans", "attributes of one span", "attributes of eight spans", "no end", "few"],
)  # fmt: skip
def test_a_body_of_empty_messages_costs_no_minutes(content: bytes, refused: type[Exception] | None) -> None:
    began = time.monotonic()
    with pytest.raises(refused) if refused else nullcontext():
        for _ in protobuf_body.spans(content, conventions.READ):
            pass
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("kind", ["KeyValue", "AnyValue"])
def test_the_largest_span_of_empty_messages_takes_no_large_memory(kind: str) -> None:
    """In a process of its own: Protobuf's memory is none that Python sees."""
    inner = b"\x4a\x00" if kind == "KeyValue" else b"\x0a\x00"
    span = inner * (protobuf_body.LARGEST // 2 - 50)
    if kind == "AnyValue":
        span = nested(9, nested(1, b"gen_ai.input.messages") + nested(2, nested(5, span)))
    script = (
        "import resource, sys\nfrom apps.monitoring.spans import conventions, protobuf_body\nbody = sys.stdin.buffer.read()\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "assert None not in list(protobuf_body.spans(body, conventions.READ))\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "config.settings"}
    content = nested(1, nested(2, nested(2, span)))
    done = subprocess.run([sys.executable, "-c", script], input=content, env=environment, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    assert int(done.stdout) < 100_000, "kilobytes"


def test_what_is_nested_without_end_is_refused_or_nothing() -> None:
    value = b""
    for _ in range(3_000):
        value = nested(5, nested(1, value))
    content = nested(1, nested(2, nested(2, nested(9, nested(1, b"gen_ai.input.messages") + nested(2, value)))))
    with pytest.raises(UnreadableError):
        list(protobuf_body.spans(content, conventions.READ))
    value = b"\x0a\x01x"
    for _ in range(40):
        value = nested(5, nested(1, value))
    content = nested(1, nested(2, nested(2, nested(9, nested(1, b"gen_ai.input.messages") + nested(2, value)))))
    (found,) = protobuf_body.spans(content, conventions.READ)
    assert isinstance(found, Span)
    inner = found.attributes["gen_ai.input.messages"]
    for _ in range(40):
        (inner,) = inner
    assert inner == "x"


def test_a_message_in_several_pieces_is_one() -> None:
    walk = protobuf_body._Walk()
    bodies = [protobuf(Sent({}, resource={name: "x"})) for name in ("error.type", "gen_ai.system")]
    pieces = [one for body in bodies for _, group in walk.fields(body, {1}) for _, one in walk.fields(group, {1})]
    whole = nested(1, nested(1, pieces[0]) + nested(2, nested(2, b"")) + nested(1, pieces[1]))
    (found,) = protobuf_body.spans(whole, conventions.READ)
    assert isinstance(found, Span)
    assert set(found.resource) == {"error.type", "gen_ai.system"}


def test_fields_that_are_not_known_are_passed_over() -> None:
    unknown = b"\x50\x07" + b"\x55abcd" + b"\x59abcdefgh" + nested(9, b"x")
    content = unknown + nested(1, unknown + nested(2, unknown + nested(2, b"\xf0\x07\x01")))
    assert len(list(protobuf_body.spans(content, conventions.READ))) == 1
