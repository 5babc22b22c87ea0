"""The schema says exactly what lines say."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any

import pytest
from jsonschema import Draft202012Validator, ValidationError

from apps.monitoring.core.event import FIELDS
from apps.monitoring.logs import events
from apps.monitoring.logs.redaction import ContentMode, Redactor
from tests.unit.logs.said import ARGUMENTS, CORRELATION, event, line
from tests.unit.logs.test_line import HOSTILE

SCHEMA: dict[str, Any] = json.loads(resources.files("apps.monitoring.logs").joinpath("schema/line.schema.json").read_text())
VALIDATOR = Draft202012Validator(SCHEMA)


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(SCHEMA)


def test_it_has_the_fields_of_the_lines_and_no_others() -> None:
    own = {
        name: [*shown["properties"]][2:]
        for name, shown in SCHEMA["$defs"].items()
        if "event_type" in shown.get("properties", {})
    }
    assert {name: sorted(shown) for name, shown in own.items()} == {kind: sorted(FIELDS[kind]) for kind in events.MESSAGES}
    for event_type, message in events.MESSAGES.items():
        assert SCHEMA["$defs"][event_type]["properties"]["message"] == {"const": message}


@pytest.mark.parametrize("event_type", ARGUMENTS)
@pytest.mark.parametrize("mode", ContentMode)
def test_every_type_of_line_follows_it(event_type: str, mode: ContentMode) -> None:
    VALIDATOR.validate(line(event(event_type, **CORRELATION), Redactor(mode)))
    VALIDATOR.validate(line(event(event_type, **dict.fromkeys(ARGUMENTS[event_type])), Redactor(mode)))


@pytest.mark.parametrize("value", HOSTILE, ids=[f"{place}-{type(value).__name__}" for place, value in enumerate(HOSTILE)])
def test_every_line_follows_it_whatever_was_handed_over(value: object) -> None:
    for event_type, arguments in ARGUMENTS.items():
        for name in (*arguments, "trace_id", "request_id"):
            VALIDATOR.validate(line(event(event_type, **{name: value})))


@pytest.mark.parametrize(
    "changed",
    [
        {"unheard_of": 1},
        {"confidence_score": None},
        {"confidence_score": "high"},
        {"timestamp": "now"},
        {"event_type": "other"},
        {"operation": "x"},
    ],
)
def test_what_is_no_line_is_refused(changed: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        VALIDATOR.validate({**line(event()), **changed})
