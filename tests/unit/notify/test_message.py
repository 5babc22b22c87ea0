"""What a notification says."""

from __future__ import annotations

import json
from pathlib import Path
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, FormatChecker

from apps.monitoring.notify import message as module
from apps.monitoring.notify.message import Message
from tests.sinks.example import alert, message

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

    def test_a_test_says_what_it_shows(self) -> None:
        sent = message(kind="test", alerts=[alert(None, value=None, reason="Agent monitoring reaches channel c-mail")])
        assert sent.subject == sent.title == "[test] Agent monitoring reaches channel c-mail"

    def test_the_title_has_the_condition_as_long_as_it_is_true(self) -> None:
        assert message().title == "[critical] error-rate-5m firing for airline: error_rate > 10 % over 5 minutes"
        assert message(kind="resolved").title == "[critical] error-rate-5m resolved for airline"

    @pytest.mark.parametrize(
        ("kind", "says"), [("firing", "is firing"), ("reminder", "is still firing"), ("resolved", "is resolved")]
    )
    def test_the_headline_is_a_sentence(self, kind: str, says: str) -> None:
        assert message(kind=kind).headline == f"error-rate-5m {says}"

    @given(st.text())
    def test_it_is_one_printable_line_whatever_a_tenant_is_called(self, tenant: str) -> None:
        assert message(alerts=[alert(tenant)]).subject.isprintable()


class TestBody:
    def test_it_says_why_and_where_to_look(self) -> None:
        body = message().body()
        assert "  airline: 25 % > 10 % (40 samples, since 2026-01-05T00:03:00Z)" in body
        assert "runbook: https://runbooks.example/errors" in body

    def test_it_says_the_condition_whatever_the_template_says(self) -> None:
        body = message(text="Wake up!").body()
        assert "error-rate-5m (critical): error_rate > 10 % over 5 minutes; minute 2026-01-05T00:07:00Z" in body

    def test_what_is_around_the_comparison_stays(self) -> None:
        body = message(alerts=[alert(reason="still firing after 15 minutes: 0.25 > 0.1", samples=1)]).body()
        assert "  airline: still firing after 15 minutes: 25 % > 10 % (1 sample, since" in body

    @pytest.mark.parametrize("value", [None, 0.5])
    def test_a_reason_without_the_comparison_is_said_as_it_is(self, value: float | None) -> None:
        assert "  airline: no data (" in message(alerts=[alert(value=value, reason="no data")]).body()

    def test_an_end_does_not_read_as_if_it_went_on(self) -> None:
        body = message(kind="resolved", alerts=[alert(value=0.05, reason="0.05 is not > 0.1")]).body()
        assert "  airline: 5 % is not > 10 % (40 samples, it began at 2026-01-05T00:03:00Z)" in body
        assert "since" not in body

    def test_a_test_tells_of_no_rule(self) -> None:
        body = message(kind="test", text="It works.", links={"dashboard": "https://monitoring.example/dashboard/"}).body()
        assert body == "It works.\n\ndashboard: https://monitoring.example/dashboard/"

    def test_it_says_how_many_it_does_not_name(self) -> None:
        assert "… and 13 more" in message(count=23, alerts=[alert(f"tenant-{n}") for n in range(10)]).body()

    def test_a_tenants_name_adds_no_line(self) -> None:
        body = message(alerts=[alert("a\nrunbook: https://evil.example")]).body()
        assert "\nrunbook: https://evil.example" not in body


def test_the_id_is_that_of_the_outbox() -> None:
    identity = str(uuid4())
    assert message(id=identity).payload()["id"] == identity
