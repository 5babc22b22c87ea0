"""`/api/v1/channels`; their secrets go in and never come out."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from apps.monitoring.models import AlertRule, AuditEntry, Channel, Notification
from tests.integration.api.conftest import bearer
from tests.integration.api.problems import problem
from tests.integration.api.rows import SECRET, rule, send

pytestmark = pytest.mark.django_db

HOOK: dict[str, Any] = {"name": "hook", "kind": "webhook", "config": {"url": "http://127.0.0.1:9000/"}}
SIGNED = {**HOOK, "secrets": {"secret": SECRET}}


@pytest.fixture(autouse=True)
def _allowed(settings: Any) -> None:
    settings.MONITORING_ALLOWED_WEBHOOK_HOSTS = ["127.0.0.1"]


@pytest.fixture
def hook(writer: Client) -> str:
    made = send(writer, "POST", "channels", SIGNED)
    assert made.status_code == 201, made.content
    assert made.json()["secrets_set"] == ["secret"]
    return f"channels/{made.json()['id']}"


def test_a_channel_is_made_read_changed_and_deleted(writer: Client, hook: str) -> None:
    send(writer, "POST", "channels", {"name": "journal", "kind": "log"})
    changed = send(writer, "PATCH", hook, {"fallback": "journal", "is_default": True})
    assert changed.status_code == 200
    body = writer.get(f"/api/v1/{hook}").json()
    assert (body["fallback"], body["is_default"], body["config"]) == ("journal", True, HOOK["config"])
    assert [row["name"] for row in writer.get("/api/v1/channels").json()["results"]] == ["hook", "journal"]
    assert send(writer, "DELETE", hook).status_code == 204
    assert list(Channel.objects.values_list("name", flat=True)) == ["journal"]


def test_no_answer_no_error_and_no_log_line_holds_a_secret(writer: Client, hook: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        answers = [
            send(writer, "POST", "channels", {**SIGNED, "name": "another"}),
            send(writer, "POST", "channels", SIGNED),
            send(writer, "POST", "channels", {**SIGNED, "name": "not a slug"}),
            send(writer, "POST", "channels", {**SIGNED, "name": "third", "kind": "pagerduty"}),
            send(writer, "PATCH", hook, {"secrets": {"secret": [SECRET]}}),
            send(writer, "PATCH", hook, {"secrets": [SECRET]}),
            send(writer, "PATCH", hook, {"secrets": {"secret": f"{SECRET}!"}}),
            send(writer, "PATCH", hook, f'{{"secrets": {{"secret": "{SECRET}"'.encode()),
            send(writer, "PUT", hook, SIGNED),
            writer.get("/api/v1/channels"),
            writer.get(f"/api/v1/{hook}"),
        ]
    assert [answer.status_code for answer in answers] == [201, 400, 400, 400, 400, 400, 400, 400, 200, 200, 200]
    for answer in answers:
        assert SECRET not in answer.content.decode()
        assert SECRET[6:] not in answer.content.decode()
    assert SECRET not in caplog.text
    assert SECRET not in str(list(AuditEntry.objects.values_list("before", "after")))


def test_what_is_left_out_stays_and_an_empty_object_removes_it(writer: Client, hook: str) -> None:
    send(writer, "PATCH", hook, {"enabled": False})
    send(writer, "PUT", hook, HOOK)
    assert Channel.objects.get().secrets == {"secret": SECRET}
    assert send(writer, "PATCH", hook, {"secrets": {}}).json()["secrets_set"] == []
    assert Channel.objects.get().secrets == {}


@pytest.mark.parametrize(
    "more",
    [
        {"config": {"url": "http://127.0.0.1:9001/"}},
        {"config": {"url": "https://127.0.0.1:9000/"}},
        {"kind": "log", "config": {}},
    ],
    ids=["another port", "another scheme", "another kind"],
)
def test_secrets_do_not_follow_a_channel_to_another_receiver(writer: Client, hook: str, more: dict[str, Any]) -> None:
    refused = send(writer, "PATCH", hook, more)
    problem(refused, 400)
    assert set(refused.json()["errors"]) == {"secrets"}
    assert Channel.objects.get().config == HOOK["config"]
    assert send(writer, "PATCH", hook, {**more, "secrets": {}}).status_code == 200


def test_a_bots_token_does_not_follow_it_to_another_api(writer: Client) -> None:
    bot = {"name": "slack", "kind": "slack", "config": {"channel": "#ops"}, "secrets": {"token": "xoxb-0123456789-0123"}}
    made = send(writer, "POST", "channels", bot).json()
    stolen = send(writer, "PATCH", f"channels/{made['id']}", {"config": {"channel": "#ops", "api": "http://127.0.0.1:1/"}})
    problem(stolen, 400)
    assert "slack.com" in str(stolen.json()["errors"]["secrets"])


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"kind": "pigeon"}, "kind"),
        ({"config": []}, "config"),
        ({"config": "http://127.0.0.1/"}, "config"),
        ({"config": {}}, "non_field_errors"),
        ({"config": {"url": "http://10.0.0.1/"}}, "non_field_errors"),
        ({"secrets": {"secret": "whsec_short"}}, "non_field_errors"),
        ({"secrets": {"secret": 5.5, "other": None}}, "secrets"),
        ({"fallback": "nobody"}, "fallback"),
        ({"failures": 0, "secret": 1}, "secret"),
    ],
)
def test_what_cannot_work_is_refused_with_the_reason_of_its_kind(writer: Client, more: dict[str, Any], field: str) -> None:
    refused = send(writer, "POST", "channels", {**HOOK, **more})
    problem(refused, 400)
    assert set(refused.json()["errors"]) == {field}
    assert not Channel.objects.exists()


def test_a_channel_is_no_fallback_of_its_own(writer: Client, hook: str) -> None:
    assert set(send(writer, "PATCH", hook, {"fallback": "hook"}).json()["errors"]) == {"fallback"}


def test_a_secret_whose_key_is_gone_hides_nothing_and_can_be_given_anew(writer: Client, hook: str) -> None:
    rule().channels.add(Channel.objects.get())
    with connection.cursor() as cursor:
        cursor.execute("UPDATE monitoring_channel SET secrets = 'broken'")
    assert writer.get("/api/v1/channels").json()["results"][0]["secrets_set"] is None
    assert writer.get("/api/v1/rules").json()["results"][0]["channels"] == ["hook"]
    own = send(writer, "PATCH", f"rules/{AlertRule.objects.get().pk}", {"channels": ["hook"], "threshold": 1})
    assert own.json()["channels"] == ["hook"]
    refused = send(writer, "PATCH", hook, {"enabled": False})
    assert "MONITORING_ENCRYPTION_KEYS" in str(refused.json()["errors"]["secrets"])
    assert send(writer, "PATCH", hook, {"secrets": {"secret": SECRET}}).status_code == 200
    assert Channel.objects.get().secrets == {"secret": SECRET}


def test_all_channels_are_read_at_once(writer: Client, django_assert_max_num_queries: Any) -> None:
    for number in range(20):
        Channel.objects.create(name=f"c{number}", kind="log", secrets={"a": "b"}, fallback=Channel.objects.first())
    with django_assert_max_num_queries(4):
        assert len(writer.get("/api/v1/channels").json()["results"]) == 20


def test_who_mends_it_does_not_wait_for_the_pause(writer: Client, hook: str) -> None:
    Channel.objects.update(failures=9, paused_until=timezone.now())
    send(writer, "PATCH", hook, {"enabled": True})
    assert Channel.objects.values_list("failures", "paused_until").get() == (0, None)


class TestTheTest:
    def test_it_goes_through_the_outbox(self, writer: Client, hook: str) -> None:
        answer = send(writer, "POST", f"{hook}/test")
        assert answer.status_code == 202
        note = Notification.objects.get()
        assert (str(note.pk), note.kind) == (answer.json()["notification"], "test")
        assert writer.get(f"/api/v1/{hook}").json()["waiting"] == 1

    def test_one_that_is_off_is_not_tested_later(self, writer: Client, hook: str) -> None:
        Channel.objects.update(enabled=False)
        problem(send(writer, "POST", f"{hook}/test"), 409)
        assert not Notification.objects.exists()


def test_who_only_reads_sees_how_it_does_and_not_where_it_leads(writer: Client, hook: str) -> None:
    Channel.objects.update(config={"url": "http://127.0.0.1:9000/a-key-in-the-path"})
    shown = bearer().get(f"/api/v1/{hook}")
    assert shown.json()["last_error"] == ""
    assert "config" not in shown.json()
    assert "a-key-in-the-path" not in shown.content.decode()
