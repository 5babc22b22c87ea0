"""A replayed hour through the processes of the product: what they decided and sent is what the oracle works out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import redis
from django.db import transaction

from apps.monitoring.models import Alert, AlertState, AlertTransition, EvaluationProgress, Notification, ShardProgress
from tests.e2e.parts import Parts, environment_of_tests, eventually
from tests.e2e.receivers import Received, Receivers, receivers
from tests.oracle import made, notices, timeline
from tests.oracle.margins import near_thresholds, nearest_to_a_minute
from tests.oracle.notices import Notice
from tests.oracle.recording import Interaction, read
from tests.oracle.timeline import Line

MINUTE = timedelta(minutes=1)
PROCESSES = ("worker", "notifier", "beat")

WHY = {
    "held back: cooldown until": timeline.COOLING,
    "its firing was never announced": timeline.UNANNOUNCED,
    "no longer held back": timeline.LATE,
    "still firing after": timeline.STILL,
}


@pytest.fixture
def opened() -> Iterator[Receivers]:
    with receivers() as found:
        yield found


@pytest.fixture
def product(transactional_db: None, valkey: redis.Redis, opened: Receivers, tmp_path: Path) -> Iterator[Parts]:
    """A set-up installation with a channel to each receiver; its processes are started by the test."""
    environment = environment_of_tests(**opened.environment(), MONITORING_NOTIFY_MAX_AGE_SECONDS="86400")
    with ExitStack() as stack:
        parts = stack.enter_context(Parts(environment, tmp_path))
        parts.manage("setup_monitoring")
        yield parts


@pytest.fixture
def recorded(recordings: Path) -> Path:
    return recordings / "tau2" / "interactions.jsonl.gz"


def test_recorded_traffic_replayed_beside_running_processes_is_judged_and_told_exactly(
    product: Parts, opened: Receivers, recorded: Path
) -> None:
    product.start(*PROCESSES)
    eventually("every shard was looked at", lambda: ShardProgress.objects.count() == 8, 40, product.told)
    start = replay(product, recorded)
    settle_and_compare(product, opened, read(recorded), start)


def test_traffic_replayed_before_the_processes_start_is_judged_and_told_exactly(
    product: Parts, opened: Receivers, tmp_path: Path
) -> None:
    recording = made.write(tmp_path / "made.jsonl")
    start = replay(product, recording)
    product.start(*PROCESSES)
    settle_and_compare(product, opened, read(recording), start)


def replay(product: Parts, recording: Path) -> datetime:
    """Replay at full speed so that the recording ends in the last full minute; returns the time of its offset 0."""
    length = (max(row.minute for row in read(recording)) + 1) * MINUTE
    start = datetime.now(UTC).replace(second=0, microsecond=0) - length
    product.manage("replay", str(recording), "--start", start.isoformat(), "--speed", "max")
    return start


def settle_and_compare(product: Parts, opened: Receivers, rows: Sequence[Interaction], start: datetime) -> None:
    """Wait until everything up to the present is judged and delivered, then compare all of it with the oracle."""
    length = max(row.minute for row in rows) + 1
    assert nearest_to_a_minute(rows) > 1, "an interaction ends so close to a full minute that rounding decides"
    assert not list(near_thresholds(rows, length, 0.01, "response-time")), "a percentile is closer to its threshold than 1 %"

    def settled() -> int | None:
        until = judged_until(start)
        pending = Notification.objects.exclude(status=Notification.Status.DELIVERED).exists()
        return until if until >= length and not pending else None

    eventually("every minute judged, every notification delivered", settled, 80, product.told)
    with transaction.atomic():
        until, found, sent = judged_until(start), stored_history(start), list(Notification.objects.all())
    expected = timeline.history(rows, until)
    compare_history(found, expected)
    compare_alerts(start, expected)
    told = notices.notices(expected)
    assert len(told) > 40, "this recording says too little to be a test"
    # A minute may have ended meanwhile; it is not part of the comparison, on either side.
    known = {row.id.hex: row for row in sent}
    compare_notices("webhook", received(opened.webhooks, known), told, start)
    compare_notices("sentry", received(opened.events, known), told, start)
    compare_notices("email", received(opened.mails, known), told, start)
    assert {row.attempts for row in sent} == {1}


def judged_until(start: datetime) -> int:
    progress = EvaluationProgress.objects.first()
    return 0 if progress is None else (progress.next_minute - start) // MINUTE


def stored_history(start: datetime) -> list[Line]:
    return [
        Line(
            rule=row.rule_name,
            tenant=row.tenant,
            minute=(row.minute - start) // MINUTE,
            state=row.state,
            changed=row.event == AlertTransition.Event.TRANSITION,
            value=row.value,
            samples=row.samples,
            kind=None if not row.notified else kind_of(row),
            why=next((why for words, why in WHY.items() if words in row.reason), timeline.OK),
        )
        for row in AlertTransition.objects.order_by("minute", "id")
    ]


def kind_of(row: AlertTransition) -> str:
    if row.state == timeline.FIRING and "still firing after" in row.reason:
        return timeline.REMINDER
    return row.state


def compare_history(found: Sequence[Line], expected: Sequence[Line]) -> None:
    """Line by line; a percentile may be off by the 1 % that is promised, every other value only by float rounding."""
    found, expected = sorted(found, key=order), sorted(expected, key=order)
    assert [without_value(line) for line in found] == [without_value(line) for line in expected]
    for seen, wanted in zip(found, expected, strict=True):
        within = 0.01 if wanted.rule.startswith("response-time") else 1e-9
        assert seen.value == (None if wanted.value is None else pytest.approx(wanted.value, rel=within)), wanted


def order(line: Line) -> tuple[str, str, int, str]:
    return line.rule, line.tenant, line.minute, line.state


def without_value(line: Line) -> tuple[object, ...]:
    return (*order(line), line.changed, line.samples, line.kind, line.why)


def compare_alerts(start: datetime, expected: Sequence[Line]) -> None:
    """Each firing is an alert with its end, and what fires at the end fires in the states."""

    def of(state: str) -> list[tuple[str, str, int]]:
        return sorted((line.rule, line.tenant, line.minute) for line in expected if line.state == state and line.changed)

    alerts = list(Alert.objects.all())
    assert sorted((a.rule_name, a.tenant, (a.fired_at - start) // MINUTE) for a in alerts) == of(timeline.FIRING)
    ends = sorted((a.rule_name, a.tenant, (a.resolved_at - start) // MINUTE) for a in alerts if a.resolved_at is not None)
    assert ends == of(timeline.RESOLVED)
    firing = len(of(timeline.FIRING)) - len(of(timeline.RESOLVED))
    assert AlertState.objects.filter(status="firing").count() == firing


def received(look: Callable[[], list[Received]], known: dict[str, Notification]) -> list[Received]:
    """What arrived of the notifications under comparison; everything else must be younger than they are."""
    youngest = max(row.created_at for row in known.values())
    everything = look()
    strange = {one.id for one in everything} - known.keys()
    assert not Notification.objects.filter(id__in=strange, created_at__lte=youngest).exists()
    assert Notification.objects.filter(id__in=strange).count() == len(strange), "something arrived that nobody sent"
    return [one for one in everything if one.id in known]


def compare_notices(channel: str, arrived: Sequence[Received], told: Sequence[Notice], start: datetime) -> None:
    """Exactly the notifications that follow, each once."""
    assert len({one.id for one in arrived}) == len(arrived), f"{channel} received an id twice"
    minutes = {row.id.hex: row.minute for row in Notification.objects.filter(channel__name=channel)}
    found = []
    for one in arrived:
        minute = minutes[one.id]
        assert one.minute in {None, f"{minute:%Y-%m-%dT%H:%M:%SZ}"}
        found.append(Notice((minute - start) // MINUTE, one.rule, one.kind, one.tenants))
    assert sorted(found) == sorted(told), channel
