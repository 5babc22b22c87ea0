"""Whatever a client sends, it reads a problem of its own making: nothing is a fault of ours, and nothing half done stays."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.test import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apps.monitoring.api import body
from apps.monitoring.models import AlertRule, Channel
from tests.integration.api.conftest import bearer
from tests.integration.api.problems import problem
from tests.integration.api.rows import RULE, fire, rule, send, silence

VALID: dict[str, dict[str, Any]] = {
    "rules": {
        **RULE, "description": "", "enabled": True, "recovery_threshold": None, "window_minutes": 5, "min_samples": 1,
        "change_against": "", "budget": "", "scope": "every_tenant", "tenant": "", "label_filter": {}, "for_minutes": 0,
        "keep_firing_for_minutes": 0, "no_data": "ok", "channels": [], "cooldown_minutes": 1, "message_template": "",
        "runbook_url": "", "severity": "info",
    },
    "channels": {
        "name": "hook", "kind": "webhook", "config": {"url": "https://93.184.215.14/", "to": []}, "secrets": {}, "enabled": True,
        "is_default": False, "fallback": None, "fallback_after_minutes": 5,
    },
    "silences": {
        "rules": ["slow"], "tenants": [], "severities": [], "starts_at": "2026-01-05T00:00:00Z",
        "ends_at": "2026-01-05T01:00:00Z", "comment": "why",
    },
    "mute-windows": {
        "name": "nights", "rules": [], "tenants": ["a"], "severities": ["info"], "weekdays": [0], "starts": "02:00",
        "ends": "03:00", "time_zone": "UTC", "comment": "", "enabled": True,
    },
    "rules/backtest": {"window": "1d", "from": None, "to": None, "rule": RULE},
    "rules/suggest": {"window": "1d", "alerts_per_week": 1, "rule": RULE},
}  # fmt: skip
ODD = st.sampled_from(
    ["\x00", "a\x00b", "x" * 5_000, "²", "٣", "NaN", "Infinity", "-1", "1e400", "{0.__class__}", "{", "%s%n", "smtp://[", "http://[::1",
     "javascript:x", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00+14:00", "../../etc/localtime", "/", "*", "a*", "24:00",
     "webhook", "slack", "pagerduty", "email", "sentry", "custom", "log", "ratio", "forecast", "one_tenant", "user.", "user.x",
     "cost", "month", "week", 10**30, -(10**30), 2**63, -1, 0, 1.5, 1e308, True, False, None, [], {}, [[]], [None], [{}]]
)  # fmt: skip
JSON = st.recursive(
    ODD, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3), max_leaves=6
)


@pytest.fixture
def there(db: None) -> Client:
    """A row of everything, so that changes meet something."""
    fire(rule("there"), "airline")
    silence("airline")
    Channel.objects.create(name="there", kind="log")
    return bearer(can_write=True)


@pytest.mark.django_db(transaction=True)
def test_no_body_is_a_fault_of_ours(there: Client) -> None:
    stored, channel = AlertRule.objects.get().pk, Channel.objects.get().pk
    targets = [
        *(("POST", noun, noun) for noun in VALID),
        ("PATCH", f"rules/{stored}", "rules"),
        ("POST", f"rules/{stored}/backtest", "rules/backtest"),
        ("PATCH", f"channels/{channel}", "channels"),
    ]

    @settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
    @given(target=st.sampled_from(targets), data=st.data())
    def attempt(target: tuple[str, str, str], data: st.DataObject) -> None:
        method, path, noun = target
        fields = st.sampled_from(sorted(VALID[noun])) | st.just("other")
        odd = data.draw(st.dictionaries(fields, JSON, min_size=1, max_size=2))
        whole = data.draw(st.sampled_from([{**VALID[noun], **odd}, odd, {**VALID[noun], "rule": {**RULE, **odd}}]))
        answer = send(there, method, path, whole)
        assert answer.status_code < 500, (method, path, whole, answer.content)
        if answer.status_code >= 400:
            problem(answer, answer.status_code)
        for leftover in (AlertRule.objects.filter(name=RULE["name"]), Channel.objects.filter(name="hook")):
            leftover.delete()

    attempt()


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"\xff\xfe", b"null", b"5", b'"text"', b"[]", b"NaN", b'{"threshold": 1e999}', b'{"name": "\\ud800"}',
     b"[" * 5_000, b'{"a":' * 900 + b"1" + b"}" * 900, b"name=slow&metric=cost"],
)  # fmt: skip
@pytest.mark.parametrize("path", ["rules", "channels", "silences", "rules/backtest", "rules/suggest"])
def test_what_is_no_json_object_is_told(there: Client, content: bytes, path: str) -> None:
    problem(send(there, "POST", path, content), 400)


@pytest.mark.parametrize("deep", [50, 900, 950, 1_000, 1_015])
@pytest.mark.parametrize(("path", "field"), [("rules", "label_filter"), ("channels", "config"), ("silences", "rules")])
def test_what_is_nested_too_deep_is_told(there: Client, deep: int, path: str, field: str) -> None:
    there.raise_request_exception = False
    for opening, closing in ((b"[", b"]"), (b'{"a":', b"}")):
        content = b'{"%s": ' % field.encode() + opening * deep + b"1" + closing * deep + b"}"
        assert "nested deeper than 50" in problem(send(there, "POST", path, content), 400)


@pytest.mark.django_db
class TestTheBody:
    @pytest.mark.parametrize(
        ("noun", "more"),
        [
            ("channels", {"config": {"url": "https://93.184.215.14/", "more": "\x00"}}),
            ("channels", {"secrets": {"more": "\x00"}}),
            ("rules", {"metric": "user.x", "statistic": "count", "label_filter": {"a": "\x00"}}),
            ("rules", {"description": "\x00"}),
        ],
    )
    def test_what_the_database_cannot_keep_is_refused(self, writer: Client, noun: str, more: dict[str, Any]) -> None:
        problem(send(writer, "POST", noun, {**VALID[noun], **more}), 400)

    def test_one_that_is_too_large_is_not_read_to_its_end(self, writer: Client) -> None:
        large = json.dumps({**RULE, "description": "x" * body.MOST}).encode()
        assert "262,144" in problem(send(writer, "POST", "rules", large), 413)
        assert send(writer, "POST", "rules", {**RULE, "description": "x" * (body.MOST // 2)}).status_code == 201

    @pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"])
    def test_another_kind_than_json_is_refused(self, writer: Client, kind: str) -> None:
        problem(writer.generic("POST", "/api/v1/rules", b"name=slow", content_type=kind), 415)


@pytest.mark.parametrize(
    "identity", ["0", "9" * 18, "9" * 30, "9" * 5_000, "-1", "1.0", "²", "a", "%00", "1%00", "1'--", "1/2"]
)
def test_an_id_that_there_is_not_is_not_found(there: Client, identity: str) -> None:
    for noun in ("rules", "channels", "silences", "alerts", "mute-windows"):
        problem(there.get(f"/api/v1/{noun}/{identity}"), 404)


@pytest.mark.parametrize("value", ["\x00", "x" * 5_000, "²", "-1", "9" * 30, "[]", "%"])
def test_no_parameter_is_a_fault_of_ours(there: Client, value: str) -> None:
    for noun, names in {
        "rules": ("name", "cursor", "page_size"),
        "alerts": ("state", "acknowledged", "rule", "tenant", "severity", "since", "cursor", "page_size"),
    }.items():
        for name in names:
            answer = there.get(f"/api/v1/{noun}", {name: value})
            assert answer.status_code < 500, (name, answer.content)
