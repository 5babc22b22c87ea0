"""The evaluation writes an end while a sweep copies its beginning to a fallback: neither sees the other."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import connection

from apps.monitoring.alerts import evaluate
from apps.monitoring.models import Channel, Notification
from apps.monitoring.notify import fallback, outbox
from apps.monitoring.notify.delivery import deliver_channel
from tests.integration.alerts.judged import FAST, SLOW, answered, play, rule
from tests.patience import eventually

pytestmark = pytest.mark.usefixtures("stores")


def sweep() -> None:
    try:
        fallback.sweep(datetime.now(UTC))
    finally:
        connection.close()


def waits() -> bool:
    """Whether somebody waits for an advisory lock."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted)")
        return bool(cursor.fetchone()[0])


@pytest.mark.parametrize("first", ["the copy", "the end"])
@pytest.mark.parametrize("how", ["nothing", "switched off", "deleted"])
def test_the_fallback_is_told_of_the_end_whatever_became_of_the_channel_that_failed(
    first: str, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    duty = Channel.objects.create(name="duty", kind="log")
    hook = Channel.objects.create(name="hook", kind="log", is_default=True, fallback=duty, fallback_after_minutes=0)
    rule()
    play({0: answered(SLOW)}, until=1)
    sweeping, enqueue = threading.Thread(target=sweep), outbox.enqueue

    def copied_meanwhile(*given: Any) -> Any:
        """The end is written, and not committed."""
        written = enqueue(*given)
        sweeping.start()
        sweeping.join()
        return written

    def copied_afterwards() -> None:
        """About to commit: who copies now waits, and sees the end."""
        sweeping.start()
        eventually("the sweep waits", waits)

    if first == "the copy":
        monkeypatch.setattr(outbox, "enqueue", copied_meanwhile)
    else:
        monkeypatch.setattr(evaluate, "_look_up_by_index", copied_afterwards)
    play({1: answered(FAST, offset=1)}, until=2, start=1)
    sweeping.join()
    if how == "switched off":
        Channel.objects.filter(pk=hook.pk).update(enabled=False)
    elif how == "deleted":
        hook.delete()
    else:
        deliver_channel(hook.pk)
    fallback.sweep(datetime.now(UTC))
    said = Notification.objects.filter(channel=duty).order_by("created_at")
    assert [row.kind for row in said] == ["firing", "resolved"], "each once"
    assert said[0].alert_ids == said[1].alert_ids
