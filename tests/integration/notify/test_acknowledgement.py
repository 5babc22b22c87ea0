"""The link in a message: a look changes nothing, a click takes the alerts on, and those who were told hear of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth.models import User
from django.core import signing
from django.test import Client

from apps.monitoring.models import Alert, AlertState, Channel, Notification
from apps.monitoring.notify.delivery import deliver_channel
from tests.integration.notify.conftest import Clock, Told
from tests.integration.notify.rows import MINUTE, alert, log_channel, rule
from tests.sinks.receiver import Receiver

BASE = "https://monitoring.example"


@pytest.fixture
def fired(db: None) -> list[Alert]:
    known = rule()
    alerts = [alert(known, tenant) for tenant in ("airline", "<b>retail</b>")]
    for one in alerts:
        AlertState.objects.create(rule=known, tenant=one.tenant, status="firing", announced=True, alert=one)
    return alerts


@pytest.fixture
def sent(told: Told, fired: list[Alert]) -> Notification:
    return told(log_channel("ops"), alerts=fired)


def path(row: Notification) -> str:
    address = str(row.payload["links"]["acknowledge"])
    assert address.startswith(f"{BASE}/acknowledge/")
    return address.removeprefix(BASE)


def acknowledged() -> int:
    return Alert.objects.filter(acknowledged_at__isnull=False).count()


class TestALook:
    @pytest.mark.parametrize("method", ["get", "head"])
    def test_changes_nothing(self, client: Client, sent: Notification, method: str) -> None:
        for _ in range(3):
            assert getattr(client, method)(path(sent)).status_code == 200
        assert acknowledged() == 0

    def test_shows_what_it_is_about_and_runs_none_of_it(self, client: Client, sent: Notification) -> None:
        answer = client.get(path(sent))
        shown = answer.content.decode()
        assert "error-rate-5m" in shown
        assert "airline" in shown
        assert "&lt;b&gt;retail&lt;/b&gt;" in shown
        assert "<b>retail" not in shown
        assert "form-action 'self'" in answer["Content-Security-Policy"]
        assert answer["X-Robots-Tag"] == "noindex"
        assert "no-cache" in answer["Cache-Control"]

    @pytest.mark.parametrize("method", ["put", "delete", "patch"])
    def test_nothing_else_is_understood(self, client: Client, sent: Notification, method: str) -> None:
        assert getattr(client, method)(path(sent)).status_code == 405


class TestAClick:
    def test_of_somebody_signed_in_is_theirs(self, client: Client, sent: Notification) -> None:
        user = User.objects.create_user("dora")
        client.force_login(user)
        answer = client.post(path(sent), {"note": "on it"})
        assert "Acknowledged: 2" in answer.content.decode()
        assert set(Alert.objects.values_list("acknowledged_by__username", "acknowledgement_note")) == {("dora", "on it")}
        assert AlertState.objects.filter(acknowledged="warning").count() == 2

    def test_of_somebody_else_is_the_addressees(self, client: Client, sent: Notification) -> None:
        client.post(path(sent), {"note": "on it"})
        (row,) = set(Alert.objects.values_list("acknowledged_by", "acknowledgement_note"))
        assert row == (None, "By the link that was sent to ops. on it")

    def test_a_note_is_kept_without_what_no_database_keeps(self, client: Client, sent: Notification) -> None:
        client.post(path(sent), {"note": "on\0 it"})
        assert set(Alert.objects.values_list("acknowledgement_note", flat=True)) == {"By the link that was sent to ops. on it"}

    def test_needs_the_token_of_its_page(self, sent: Notification) -> None:
        strict = Client(enforce_csrf_checks=True)
        assert strict.post(path(sent)).status_code == 403
        assert acknowledged() == 0
        token = strict.get(path(sent)).context["csrf_token"]
        assert strict.post(path(sent), {"csrfmiddlewaretoken": str(token)}).status_code == 200
        assert acknowledged() == 2

    def test_a_second_one_finds_nothing_to_do(self, client: Client, sent: Notification) -> None:
        client.post(path(sent))
        before = set(Alert.objects.values_list("acknowledged_at", flat=True))
        assert "nothing left to acknowledge" in client.post(path(sent)).content.decode()
        assert set(Alert.objects.values_list("acknowledged_at", flat=True)) == before

    def test_what_has_ended_is_left(self, client: Client, sent: Notification, fired: list[Alert]) -> None:
        Alert.objects.filter(pk=fired[0].pk).update(resolved_at=datetime.now(UTC))
        client.post(path(sent))
        assert list(Alert.objects.filter(acknowledged_at__isnull=False)) == [fired[1]]


class TestALinkThatIsNone:
    @pytest.mark.parametrize("method", ["get", "post"])
    @pytest.mark.parametrize("token", ["x", "0" * 32 + ":a:b", "changed"])
    def test_does_nothing(self, client: Client, sent: Notification, token: str, method: str) -> None:
        address = path(sent)[:-3] + "AA/" if token == "changed" else f"/acknowledge/{token}/"
        assert getattr(client, method)(address).status_code == 404
        assert acknowledged() == 0

    def test_one_older_than_a_week_does_nothing(
        self, client: Client, sent: Notification, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        late = datetime.now(UTC).timestamp() + timedelta(days=7, minutes=1).total_seconds()
        monkeypatch.setattr(signing.time, "time", lambda: late)
        assert client.post(path(sent)).status_code == 404
        assert acknowledged() == 0

    def test_a_signature_for_something_else_does_not_open_it(self, client: Client, sent: Notification) -> None:
        other = signing.TimestampSigner(salt="another").sign(sent.pk.hex)
        assert client.post(f"/acknowledge/{other}/").status_code == 404

    def test_neither_does_one_whose_notification_is_gone(self, client: Client, sent: Notification) -> None:
        Notification.objects.all().delete()
        assert client.get(path(sent)).status_code == 404


def test_an_end_has_no_such_link(told: Told, fired: list[Alert]) -> None:
    from apps.monitoring.core.lifecycle import Notice

    row = told(log_channel("ops"), notice=Notice.RESOLVED, alerts=fired, minute=MINUTE + 1)
    assert "acknowledge" not in row.payload["links"]


class TestTheNews:
    def test_an_incident_is_acknowledged_when_somebody_looks_after_all_of_it(
        self, client: Client, told: Told, fired: list[Alert], receiver: Receiver, clock: Clock
    ) -> None:
        from apps.monitoring.alerts.acknowledge import acknowledge

        duty = Channel.objects.create(
            name="duty", kind="pagerduty", config={"url": receiver.pagerduty_url}, secrets={"routing_key": "k" * 32}
        )
        opened = told(duty, alerts=fired)
        user = User.objects.create_user("dora")
        for one in fired:
            clock.passes(seconds=1)
            acknowledge([one.pk], user, clock())
            clock.passes(seconds=1)
            deliver_channel(duty.pk, clock)
        events = [(a.body["event_action"], a.body["dedup_key"]) for a in receiver.arrivals("pagerduty")]
        assert events == [("trigger", str(opened.pk)), ("acknowledge", str(opened.pk))]

    def test_those_who_do_not_want_it_or_were_not_told_hear_nothing(
        self, client: Client, sent: Notification, receiver: Receiver
    ) -> None:
        Channel.objects.create(
            name="duty", kind="pagerduty", config={"url": receiver.pagerduty_url}, secrets={"routing_key": "k" * 32}
        )
        client.post(path(sent))
        assert not Notification.objects.filter(kind="acknowledged").exists()

    def test_it_fits_the_schema_and_says_who(self, client: Client, told: Told, fired: list[Alert], receiver: Receiver) -> None:
        from jsonschema import Draft202012Validator

        from tests.unit.notify.test_message import SCHEMA

        chat = Channel.objects.create(name="chat", kind="slack", secrets={"url": receiver.slack_webhook})
        client.post(path(told(chat, alerts=fired)))
        news = Notification.objects.get(kind="acknowledged")
        Draft202012Validator(SCHEMA).validate(news.payload)
        assert news.payload["text"] == "whoever was told on chat looks after error-rate-5m for 2 tenants."
        assert news.payload["links"] == {"dashboard": "https://monitoring.example/dashboard/?window=15m", "runbook": ""}
        page = f"https://monitoring.example/admin/monitoring/alert/{fired[0].pk}/change/"
        assert page in {one["links"]["alert"] for one in news.payload["alerts"]}
