"""What a line says: the same whichever way it is made, whatever the caller handed over."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.monitoring.core.event import Event
from apps.monitoring.logs import events
from apps.monitoring.logs.formats import FORMATS
from apps.monitoring.logs.line import MAX_BYTES, Renderer
from apps.monitoring.logs.plain import plain
from apps.monitoring.logs.quick import Quick
from apps.monitoring.logs.redaction import ContentMode, Redactor
from tests.unit.logs.said import ARGUMENTS, CORRELATION, WHEN, event, line, rendered

texts = st.text(st.characters(codec="utf-8"), max_size=40) | st.sampled_from(
    ["mia@example.com", "+49 151 2345678", "x" * 3_000, ""]
)
values = (
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts
    | st.lists(st.floats(0, 1) | texts, max_size=3)
    | st.dictionaries(texts, st.none() | st.integers(0, 1_000) | texts, max_size=3)
)


@st.composite
def said(draw: st.DrawFn) -> Event:
    """An event, most of its values of their usual types."""
    event_type = draw(st.sampled_from(sorted(ARGUMENTS)))
    usual = {**ARGUMENTS[event_type], **draw(st.sampled_from([{}, CORRELATION]))}
    changed = draw(st.dictionaries(st.sampled_from(sorted(usual)), values, max_size=4))
    return event(event_type, **{**usual, **changed})


@given(said(), st.sampled_from(ContentMode))
@settings(max_examples=600)
def test_the_quick_way_says_what_the_careful_way_says(case: Event, mode: ContentMode) -> None:
    redactor = Redactor(mode)
    quick = Quick(redactor)
    for _ in range(2):  # first what it learns, then what it knows
        found = None
        with suppress(Exception):  # the careful way takes over
            found = quick.line(case, WHEN)
        if found is not None:
            careful = events.line(case, WHEN, redactor)
            assert json.loads(FORMATS["json"](found)) == plain(careful)
            assert list(found) == list(careful)


@pytest.mark.parametrize("event_type", [kind for kind in ARGUMENTS if kind != "error"])
def test_usual_events_go_the_quick_way(event_type: str) -> None:
    usual = {"errors": None} if event_type == "agent_interaction" else {}
    assert Quick(Redactor()).line(event(event_type, **usual, **CORRELATION), WHEN) is not None


def test_a_name_of_a_count_is_redacted_each_time() -> None:
    render = Renderer(Redactor(), FORMATS["json"])
    for _ in range(3):
        said = json.loads(render(event("context_building", components={"mia@example.com": 1})))
        assert said["components"] == {"[email]": 1}


def test_a_line_in_full() -> None:
    assert line(event(**CORRELATION)) == {
        "timestamp": "2026-01-05T09:30:00.123456Z",
        "level": "ERROR",
        "logger": "agent.monitor",
        "message": "Agent interaction",
        "event_type": "agent_interaction",
        "tenant_id": "acme",
        **ARGUMENTS["agent_interaction"],
        "customer_message": "My mail is [email]",
        "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
        "span_id": "00f067aa0ba902b7",
        "request_id": "r-1",
    }


def test_what_was_not_said_is_not_in_the_line() -> None:
    found = line(event("llm_api_call", cost=None, conversation_id=None))
    assert {"cost", "conversation_id", "error"}.isdisjoint(found)
    assert found["token_usage"] == {"prompt_tokens": 812}


@pytest.mark.parametrize(
    ("changed", "level"),
    [
        (event(errors=()), "INFO"),
        (event(errors=(), agent_response=None), "ERROR"),
        (event(), "ERROR"),
        (event("llm_api_call"), "INFO"),
        (event("llm_api_call", error="timeout"), "ERROR"),
        (event("error"), "ERROR"),
        (event("handoff_decision"), "INFO"),
    ],
)
def test_the_level_tells_failures(changed: Any, level: str) -> None:
    assert line(changed)["level"] == level


@pytest.mark.parametrize(
    ("timestamp", "shown"),
    [
        (None, "2026-01-05T09:30:00.123456Z"),
        (1_767_571_200, "2026-01-05T00:00:00.000000Z"),
        (1_767_571_199.9999999, "2026-01-05T00:00:00.000000Z"),
        (datetime(2026, 1, 4, 12, tzinfo=UTC), "2026-01-04T12:00:00.000000Z"),
        ("yesterday", "2026-01-05T09:30:00.123456Z"),
        (math.inf, "2026-01-05T09:30:00.123456Z"),
        (-1e300, "2026-01-05T09:30:00.123456Z"),
    ],
)
def test_an_event_keeps_its_own_time_unless_that_is_none(timestamp: object, shown: str) -> None:
    assert line(event(timestamp=timestamp))["timestamp"] == shown


class Colour(Enum):
    RED = "red"


class Broken:
    def __str__(self) -> str:
        raise RuntimeError("do not look")

    __repr__ = __len__ = __bool__ = __iter__ = __str__  # type: ignore[assignment]


class BrokenMapping(dict[str, int]):
    def items(self) -> Any:
        raise RuntimeError("do not look")

    keys = values = __iter__ = items


class Lying(str):
    def __str__(self) -> str:
        return "mia@example.com"

    __slots__ = ()


def endless() -> Iterator[int]:
    while True:
        yield 1


CYCLE: dict[str, Any] = {}
CYCLE["self"] = CYCLE
DEEP: list[Any] = []
for _ in range(100_000):
    DEEP = [DEEP]

HOSTILE = [
    math.nan, math.inf, -math.inf, 2**64, -(2**63) - 1, 10**5_000, Decimal("NaN"), Decimal("sNaN"), Decimal("1e400"), 1e308, b"\xff", bytearray(9),
    "\ud800", "a\ud800b@example.com", "\x00\n\r\u2028", "x" * 1_000_000, Broken(), Broken, BrokenMapping(a=1), Lying("a"), Colour.RED,
    CYCLE, DEEP, endless(), [math.nan], {"a": math.nan}, {Broken(): 1}, {1: 2, None: 3}, {"a" * 9_000: 1}, {"k\ud800": 1}, {"a": 2**70},
    [Broken()], ["\ud800"], {1, 2}, range(10**12), dict.fromkeys(range(1_000), 1), {str(i): "y" * 1_000 for i in range(1_000)},
    np.float64(0.5), np.int64(7), np.float32("nan"), np.array([0.5, 0.6]), datetime(2026, 1, 5, tzinfo=UTC), object(), RuntimeError("\ud800"),
    lambda: None, type,  ..., memoryview(b"abc"), complex(1, 2), True, "", (), [], {},
]  # fmt: skip


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("value", HOSTILE, ids=[f"{place}-{type(value).__name__}" for place, value in enumerate(HOSTILE)])
def test_any_value_anywhere_gives_one_line(value: object, form: str) -> None:
    for mode in ContentMode:
        render = Renderer(Redactor(mode), FORMATS[form])
        for event_type, arguments in ARGUMENTS.items():
            for name in (*arguments, "trace_id", "request_id"):
                found = render(event(event_type, **{name: value}))
                assert found.count(b"\n") == 1
                assert found.endswith(b"\n")
                assert len(found) <= MAX_BYTES
                if form != "console":
                    assert b"Infinity" not in found
                    assert json.loads(found)


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("confidence_score", Decimal("0.25"), 0.25),
        ("confidence_score", np.float64(0.5), 0.5),
        ("processing_time_ms", np.int64(7), 7),
        ("intent", Colour.RED, "red"),
        ("conversation_id", 17, "17"),
        ("token_usage", {"prompt_tokens": np.int64(7)}, {"prompt_tokens": 7}),
    ],
)
def test_values_of_related_types_are_understood(name: str, value: object, shown: object) -> None:
    assert line(event(**{name: value}))[name] == shown


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("confidence_score", "high", "high"),
        ("confidence_score", math.nan, "nan"),
        ("confidence_score", True, "True"),
        ("token_usage", 812, "812"),
        ("estimated_cost", 2**64, str(2**64)),
        ("processing_time_ms", "mia@example.com", "[email]"),
    ],
)
def test_a_value_of_another_type_is_shown_as_refused(name: str, value: object, shown: str) -> None:
    found = line(event(**{name: value}))
    assert name not in found
    assert found["refused"] == {name: shown}


def test_nothing_that_people_wrote_is_there_in_mode_none() -> None:
    redactor = Redactor(ContentMode.NONE)
    for event_type in ARGUMENTS:
        hidden = {"customer_message": "Hello", "reason": "angry Mia", "query": "Hello"}
        own = {name: text for name, text in hidden.items() if name in ARGUMENTS[event_type]}
        said = rendered(event(event_type, **own), redactor)
        for words in (b"Hello", b"Mia", b"mia", b"Thank you", b"no user"):
            assert words not in said, event_type


def test_a_line_that_is_too_long_leaves_out_the_longest_first_and_says_so() -> None:
    redactor = Redactor(max_text=100_000)
    found = line(event(customer_message="x" * 60_000, agent_response="y" * 20_000), redactor)
    assert found["left_out"] == ["customer_message"]
    assert len(found["agent_response"]) == 20_000
