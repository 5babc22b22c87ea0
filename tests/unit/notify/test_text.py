"""The sentence of a notification."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from apps.monitoring.notify.text import Subject, render
from tests.sinks.example import RULE, alert

SLOW = replace(RULE, name="response-time-p99", metric="response_time", statistic="p99", threshold=10_000.0, unit="ms")
FINE = alert(value=8_812.3, reason="8812.3 is not > 10000")


def fired(template: str = "", **changes: Any) -> str:
    return render(template, RULE, "firing", Subject(1, alert(**changes)))


class TestWhatBegins:
    def test_it_is_the_condition(self) -> None:
        assert fired() == "error-rate-5m is firing for airline: error_rate > 10 % over 5 minutes."

    def test_without_a_value_it_is_the_reason(self) -> None:
        assert fired(value=None, reason="no data") == "error-rate-5m is firing for airline: no data."

    def test_a_reminder_says_that_it_goes_on(self) -> None:
        said = render("", RULE, "reminder", Subject(3, alert()))
        assert said == "error-rate-5m is still firing for 3 tenants: error_rate > 10 % over 5 minutes."


class TestWhatEnds:
    def test_it_is_how_it_is_now_and_how_long_it_lasted(self) -> None:
        assert render("", SLOW, "resolved", Subject(1, FINE, lasted=8)) == (
            "response-time-p99 is resolved for airline: p99 of response_time is 8.81 s, no longer > 10 s over 5 minutes; "
            "it lasted 8 minutes."
        )

    def test_how_long_is_left_out_where_it_is_not_known(self) -> None:
        assert render("", SLOW, "resolved", Subject(1, FINE)).endswith("no longer > 10 s over 5 minutes.")

    def test_without_a_value_it_is_why_it_ended(self) -> None:
        ended = alert(value=None, reason="the rule was disabled")
        said = render("", SLOW, "resolved", Subject(1, ended, lasted=90))
        assert said == "response-time-p99 is resolved for airline: the rule was disabled; it lasted 1 hour 30 minutes."

    def test_what_is_told_late_says_nothing_of_now(self) -> None:
        late = replace(FINE, reason="resolved earlier, when nobody could be notified")
        said = render("", SLOW, "resolved", Subject(1, late, lasted=1, is_late=True))
        assert said == (
            "response-time-p99 is resolved for airline: resolved earlier, when nobody could be notified; it lasted 1 minute."
        )

    def test_of_several_it_says_how_it_was_and_how_long_the_longest_lasted(self) -> None:
        assert render("", SLOW, "resolved", Subject(3, FINE, lasted=20)) == (
            "response-time-p99 is resolved for 3 tenants: p99 of response_time was > 10 s over 5 minutes; "
            "the longest lasted 20 minutes."
        )


class TestDescription:
    @pytest.mark.parametrize("template", ["", "Look at {tenant}."])
    def test_it_follows_what_begins(self, template: str) -> None:
        said = render(template, RULE, "firing", Subject(1, alert()), "Many interactions fail.\r\nSince the move.")
        assert said == f"{fired(template)} Many interactions fail."

    @pytest.mark.parametrize("kind", ["reminder", "resolved"])
    def test_what_follows_does_not_repeat_it(self, kind: str) -> None:
        assert "fail" not in render("", RULE, kind, Subject(1, alert()), "Many interactions fail.")

    def test_what_the_template_says_is_not_said_twice(self) -> None:
        assert render("Oh: many fail.", RULE, "firing", Subject(1, alert()), "many fail.") == "Oh: many fail."

    def test_a_long_one_is_cut(self) -> None:
        assert len(render("", RULE, "firing", Subject(1, alert()), "x" * 5_000)) == len(fired()) + 1 + 300


class TestTemplate:
    def test_it_is_filled(self) -> None:
        template = "{severity} {rule}: {tenant} at {value} > {threshold}, {samples} in {window}"
        assert fired(template) == "critical error-rate-5m: airline at 0.25 > 0.1, 40 in 5 minutes"

    def test_what_is_no_placeholder_stays(self) -> None:
        assert fired("{unknown} {0} {rule.name} {tenant!r} {}") == "{unknown} {0} {rule.name} {tenant!r} {}"

    def test_a_tenant_called_like_a_placeholder_keeps_its_name(self) -> None:
        assert fired("{tenant}", tenant="{value}{threshold}") == "{value}{threshold}"

    def test_no_value_is_said_in_words(self) -> None:
        assert fired("{value}", value=None) == "no value"
