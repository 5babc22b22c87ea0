"""What a notification says."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, FormatChecker

from apps.monitoring.notify import message as module
from apps.monitoring.notify.message import Message, condition, render
from tests.sinks.example import RULE, alert, message

SCHEMA = json.loads((Path(module.__file__).parent / "message.schema.json").read_text())
VALIDATOR = Draft202012Validator(SCHEMA, format_checker=FormatChecker())


class TestPayload:
    def test_the_schema_is_one(self) -> None:
        Draft202012Validator.check_schema(SCHEMA)

    @pytest.mark.parametrize("kind", ["firing", "reminder", "resolved", "test"])
    def test_every_kind_fits_the_schema(self, kind: str) -> None:
        VALIDATOR.validate(json.loads(json.dumps(message(kind=kind).payload())))

    def test_the_schema_names_every_field_there_is(self) -> None:
        payload = message().payload()
        assert payload.keys() == SCHEMA["properties"].keys()
        assert payload["rule"].keys() == SCHEMA["properties"]["rule"]["properties"].keys()
        assert payload["alerts"][0].keys() == SCHEMA["properties"]["alerts"]["items"]["properties"].keys()

    def test_a_value_that_is_not_there_is_null(self) -> None:
        VALIDATOR.validate(message(alerts=[alert(tenant=None, value=None, samples=0)]).payload())

    def test_an_id_that_is_none_does_not_fit(self) -> None:
        assert not VALIDATOR.is_valid(message(id="7").payload())

    def test_what_was_stored_is_read_back(self) -> None:
        sent = message(count=12, alerts=[alert(f"tenant-{n}") for n in range(10)])
        assert Message.from_payload(json.loads(json.dumps(sent.payload()))) == sent


class TestSubject:
    def test_it_says_how_bad_what_and_whom(self) -> None:
        assert message().subject == "[critical] error-rate-5m firing for airline"

    def test_many_tenants_are_a_number(self) -> None:
        assert message(count=23).subject == "[critical] error-rate-5m firing for 23 tenants"

    def test_no_tenant_is_all_of_them(self) -> None:
        assert message(alerts=[alert(None)]).subject.endswith("for all tenants")

    @given(st.text())
    def test_it_is_one_printable_line_whatever_a_tenant_is_called(self, tenant: str) -> None:
        assert message(alerts=[alert(tenant)]).subject.isprintable()


class TestBody:
    def test_it_says_why_and_where_to_look(self) -> None:
        body = message().body()
        assert "  airline: 0.25 > 0.1 (40 samples, since 2026-01-05T00:03:00Z)" in body
        assert "runbook: https://runbooks.example/errors" in body

    def test_it_says_the_condition_whatever_the_template_says(self) -> None:
        body = message(text="Wake up!").body()
        assert "error-rate-5m (critical): error_rate > 0.1 share over 5 minutes; minute 2026-01-05T00:07:00Z" in body

    def test_it_says_how_many_it_does_not_name(self) -> None:
        assert "… and 13 more" in message(count=23, alerts=[alert(f"tenant-{n}") for n in range(10)]).body()

    def test_a_tenants_name_adds_no_line(self) -> None:
        body = message(alerts=[alert("a\nrunbook: https://evil.example")]).body()
        assert "\nrunbook: https://evil.example" not in body


class TestText:
    def test_without_a_template_it_is_the_condition(self) -> None:
        assert render("", RULE, "firing", 1, alert()) == (
            "error-rate-5m is firing for airline: error_rate > 0.1 share over 5 minutes."
        )

    def test_a_statistic_is_named_with_its_metric(self) -> None:
        rule = replace(RULE, metric="response_time", statistic="p95", threshold=5000.0, unit="ms")
        assert condition(rule) == "p95 of response_time > 5000 ms over 5 minutes"

    def test_the_template_is_filled(self) -> None:
        template = "{severity} {rule}: {tenant} at {value} > {threshold}, {samples} in {window}"
        assert render(template, RULE, "firing", 1, alert()) == (
            "critical error-rate-5m: airline at 0.25 > 0.1, 40 in 5 minutes"
        )

    def test_what_is_no_placeholder_stays(self) -> None:
        assert render("{unknown} {0} {rule.name} {tenant!r} {}", RULE, "firing", 1, alert()) == (
            "{unknown} {0} {rule.name} {tenant!r} {}"
        )

    def test_a_tenant_called_like_a_placeholder_keeps_its_name(self) -> None:
        assert render("{tenant}", RULE, "firing", 1, alert("{value}{threshold}")) == "{value}{threshold}"

    def test_no_value_is_said_in_words(self) -> None:
        assert render("{value}", RULE, "firing", 1, alert(value=None)) == "no value"


def test_the_id_is_that_of_the_outbox() -> None:
    identity = str(uuid4())
    assert message(id=identity).payload()["id"] == identity
