"""Every edit leaves an entry: who, when, before, after, and never a secret."""

from __future__ import annotations

import json
from datetime import time, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection, transaction
from django.utils import timezone

from apps.monitoring.alerts.silences import expire
from apps.monitoring.audit.actor import acting
from apps.monitoring.models import AlertRule, AuditEntry, Channel, MuteWindow, Silence
from apps.monitoring.notify import circuit
from tests.integration.alerts.judged import rule

# Entries are one a transaction, so these tests commit.
pytestmark = pytest.mark.django_db(transaction=True)

SECRET, OTHER = "hunter2-the-first", "hunter2-the-second"


def entries() -> list[tuple[str, str, str, list[str]]]:
    """Oldest first: kind, name, action, and the fields that differ."""
    found = AuditEntry.objects.order_by("at", "id")
    return [(one.kind, one.name, one.action, [field for field, _, _ in one.changes()]) for one in found]


def changes() -> list[tuple[str, Any, Any]]:
    return AuditEntry.objects.latest("at").changes()


def test_a_rule_is_made_changed_and_deleted() -> None:
    with acting("anna"):
        made = rule()
    with acting("bert"):
        made.threshold = 6_000.0
        made.save()
    with acting("cleo"):
        made.delete()
    assert [(one.actor, one.action) for one in AuditEntry.objects.order_by("at")] == [
        ("anna", "created"), ("bert", "changed"), ("cleo", "deleted"),
    ]  # fmt: skip
    created, changed, deleted = AuditEntry.objects.order_by("at")
    assert created.before is None
    assert created.after["threshold"] == 5_000.0
    assert changed.changes() == [("threshold", 5_000.0, 6_000.0)]
    assert changed.before["metric"] == changed.after["metric"] == "response_time"
    assert (deleted.before["threshold"], deleted.after) == (6_000.0, None)
    assert created.object_id == deleted.object_id


def test_saving_what_is_the_same_is_no_edit() -> None:
    made = rule()
    made.save()
    AlertRule.objects.get().save()
    assert [action for _, _, action, _ in entries()] == ["created"]


def test_a_rule_and_its_channels_are_one_edit_when_they_are_one_transaction() -> None:
    made, mail, hook = rule(), Channel.objects.create(name="mail", kind="log"), Channel.objects.create(name="hook", kind="log")
    AuditEntry.objects.all().delete()
    with transaction.atomic():
        made.threshold = 1.0
        made.save()
        made.channels.set([mail, hook])
        made.channels.remove(hook)
    assert entries() == [("rule", "slow", "changed", ["channels", "threshold"])]
    assert changes()[0] == ("channels", [], ["mail"])
    hook.rules.add(made)
    assert changes() == [("channels", ["mail"], ["hook", "mail"])]
    hook.rules.clear()
    assert changes() == [("channels", ["hook", "mail"], ["mail"])]
    made.channels.clear()
    assert changes() == [("channels", ["mail"], [])]


def test_an_edit_that_is_rolled_back_leaves_nothing() -> None:
    made = rule()
    made.threshold = 1.0
    with transaction.atomic():
        made.save()
        assert len(entries()) == 2
        transaction.set_rollback(True)
    assert len(entries()) == 1


def test_without_its_entry_there_is_no_edit() -> None:
    made = rule()
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE monitoring_auditentry ADD CONSTRAINT nobody CHECK (action <> 'changed') NOT VALID")
    try:
        made.threshold = 1.0
        with pytest.raises(Exception, match="nobody"):
            made.save()
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE monitoring_auditentry DROP CONSTRAINT nobody")
    assert AlertRule.objects.get().threshold == 5_000.0


def test_of_a_secret_it_is_said_that_it_was_changed_and_nothing_more() -> None:
    made = Channel.objects.create(name="hook", kind="webhook", secrets={"secret": SECRET, "url": "u"})
    made.secrets = {"secret": OTHER, "url": "u", "token": "new"}
    made.config = {"url": "https://example.com"}
    made.save()
    created, changed = AuditEntry.objects.order_by("at")
    assert created.after["secrets"] == {"secret": "set", "url": "set"}
    assert changed.changes() == [
        ("config", {}, {"url": "https://example.com"}),
        ("secrets", {"secret": "set", "url": "set"}, {"secret": "changed", "token": "set", "url": "set"}),
    ]
    made.secrets = {}
    made.save()
    assert changes() == [("secrets", {"secret": "set", "token": "set", "url": "set"}, {})]
    kept = json.dumps(list(AuditEntry.objects.values_list("before", "after")))
    assert not [part for part in (SECRET, OTHER, *stored_secrets()) if part in kept]


def stored_secrets() -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT secrets FROM monitoring_channel")
        return [text for (text,) in cursor.fetchall()]


def test_a_secret_that_is_changed_twice_in_a_transaction_is_changed() -> None:
    made = Channel.objects.create(name="hook", kind="webhook", secrets={"secret": SECRET})
    with transaction.atomic():
        made.secrets = {"secret": OTHER}
        made.save()
        made.enabled = False
        made.save()
    assert changes() == [("enabled", True, False), ("secrets", {"secret": "set"}, {"secret": "changed"})]


def test_secrets_that_are_encrypted_anew_are_not_changed(settings: Any) -> None:
    settings.MONITORING_ENCRYPTION_KEYS = ["old"]
    Channel.objects.create(name="hook", kind="webhook", secrets={"secret": SECRET})
    settings.MONITORING_ENCRYPTION_KEYS = ["new", "old"]
    before = stored_secrets()
    call_command("rotate_secrets", stdout=StringIO())
    assert stored_secrets() != before
    assert len(entries()) == 1


def test_a_secret_whose_key_is_lost_stops_no_edit_and_hides_no_change(settings: Any) -> None:
    settings.MONITORING_ENCRYPTION_KEYS = ["lost"]
    Channel.objects.create(name="hook", kind="webhook", secrets={"secret": SECRET})
    settings.MONITORING_ENCRYPTION_KEYS = ["new"]
    made = Channel.without_secrets.get()
    made.enabled = False
    made.save()
    assert changes() == [("enabled", True, False)]
    made.secrets = {"secret": OTHER}
    made.save()
    assert changes() == [("secrets", "cannot be read", {"secret": "set"})]


def test_what_the_machinery_writes_down_is_no_edit() -> None:
    made, channel = rule(), Channel.objects.create(name="hook", kind="log")
    AuditEntry.objects.all().delete()
    circuit.failed(channel.pk, "refused", timezone.now(), None)
    circuit.close(channel.pk, timezone.now())
    AlertRule.objects.filter(pk=made.pk).update(error="broken")
    assert entries() == []


def test_silences_and_mute_windows_are_audited() -> None:
    now = timezone.now()
    silence = Silence(rules=["slow"], author="anna", comment="why", ends_at=now + timedelta(hours=5))
    silence.save()
    expire(silence, now)
    window = MuteWindow(name="backup", rules=["slow"], starts=time(2), ends=time(4), time_zone="Europe/Berlin")
    window.save()
    window.weekdays = [5]
    window.save()
    window.delete()
    assert [(kind, action) for kind, _, action, _ in entries()] == [
        ("silence", "created"), ("silence", "changed"), ("mute window", "created"), ("mute window", "changed"),
        ("mute window", "deleted"),
    ]  # fmt: skip
    assert entries()[1][3] == ["ends_at"]
    assert entries()[3][3] == ["weekdays"]
    created = AuditEntry.objects.filter(kind="silence").earliest("at")
    assert (created.after["author"], created.after["comment"]) == ("anna", "why")


def test_a_command_says_its_name(tmp_path: Path) -> None:
    rule()
    file = tmp_path / "rules.yaml"
    said = StringIO()
    call_command("rules", "export", stdout=said)
    file.write_text(said.getvalue().replace("5000", "7000"))
    call_command("rules", "apply", str(file), stdout=StringIO())
    entry = AuditEntry.objects.latest("at")
    assert (entry.actor, entry.changes()) == ("manage.py rules", [("threshold", 5_000.0, 7_000.0)])
    assert AuditEntry.objects.earliest("at").actor == ""
