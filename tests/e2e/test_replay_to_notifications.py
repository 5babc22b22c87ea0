"""A replayed hour through the processes of the product: what they decided and sent is what the oracle works out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django_celery_beat.models import IntervalSchedule, PeriodicTask

from apps.monitoring.models import ShardProgress
from tests.e2e.parts import Parts, environment_of_tests
from tests.e2e.receivers import Received, Receivers, receivers
from tests.e2e.stored import MINUTE, Stored, stored
from tests.oracle import made, notices, timeline
from tests.oracle.margins import near_thresholds, nearest_to_a_minute
from tests.oracle.notices import Notice
from tests.oracle.recording import Interaction, read
from tests.oracle.timeline import Line
from tests.patience import eventually

PROCESSES = ("worker", "notifier", "beat")

# In this order: the processes end before the stores are emptied.
pytestmark = pytest.mark.usefixtures("transactional_db", "valkey")


@pytest.fixture
def opened() -> Iterator[Receivers]:
    with receivers() as found:
        yield found


@pytest.fixture
def product(opened: Receivers, tmp_path: Path) -> Iterator[Parts]:
    """A set-up installation with a channel to each receiver; its processes are started by the test."""
    environment = environment_of_tests(**opened.environment(), MONITORING_NOTIFY_MAX_AGE_SECONDS="86400")
    with Parts(environment, tmp_path) as parts:
        parts.manage("setup_monitoring")
        # As ops may do in the admin: beat looks more often than every 15 seconds, and nobody waits for it.
        often = IntervalSchedule.objects.create(every=2, period=IntervalSchedule.SECONDS)
        PeriodicTask.objects.filter(task__in=["monitoring.rollup", "monitoring.evaluate"]).update(interval=often)
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


def test_what_the_commands_decide_is_told_by_a_running_notifier_without_beat(
    product: Parts, opened: Receivers, tmp_path: Path
) -> None:
    product.start("notifier")
    recording = made.write(tmp_path / "made.jsonl")
    start = replay(product, recording)
    eventually("the last minute is due", lambda: is_due(start, read(recording)), 10)
    product.manage("rollup")
    product.manage("evaluate")
    settle_and_compare(product, opened, read(recording), start)


def is_due(start: datetime, rows: Sequence[Interaction]) -> bool:
    """Whether the grace of 5 seconds after the recording's last minute is over."""
    return datetime.now(UTC) >= start + length_of(rows) * MINUTE + timedelta(seconds=5)


def replay(product: Parts, recording: Path) -> datetime:
    """Replay at full speed so that the recording ends in the last full minute; returns the time of its offset 0."""
    start = datetime.now(UTC).replace(second=0, microsecond=0) - length_of(read(recording)) * MINUTE
    product.manage("replay", str(recording), "--start", start.isoformat(), "--speed", "max")
    return start


def length_of(rows: Sequence[Interaction]) -> int:
    """In minutes, the last one included."""
    return max(row.minute for row in rows) + 1


def settle_and_compare(product: Parts, opened: Receivers, rows: Sequence[Interaction], start: datetime) -> None:
    """Wait until everything up to the present is judged and delivered, then compare all of it with the oracle."""
    length = length_of(rows)
    assert nearest_to_a_minute(rows) > 1, "an interaction ends so close to a full minute that rounding decides"
    assert not list(near_thresholds(rows, length, 0.01, "response-time")), "a percentile is closer to its threshold than 1 %"

    def settled() -> Stored | None:
        now = stored(start)
        return now if now is not None and now.until >= length and now.delivered else None

    found = eventually("every minute is judged and every notification delivered", settled, 80, product.told)
    expected = timeline.history(rows, found.until)
    compare_history(found.history, expected)
    compare_alerts(found, expected)
    told = notices.notices(expected)
    assert len(told) > 40, "this recording says too little to be a test"
    compare_notices("webhook", opened.webhooks(), found, told, start)
    compare_notices("sentry", opened.events(), found, told, start)
    compare_notices("email", opened.mails(), found, told, start)
    assert {row.attempts for row in found.notifications.values()} == {1}


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


def compare_alerts(found: Stored, expected: Sequence[Line]) -> None:
    """Each firing is an alert with its end, and what has not ended still fires."""

    def of(state: str) -> list[tuple[str, str, int]]:
        return sorted((line.rule, line.tenant, line.minute) for line in expected if line.state == state and line.changed)

    assert found.fired == of(timeline.FIRING)
    assert found.resolved == of(timeline.RESOLVED)
    assert found.firing_now == len(found.fired) - len(found.resolved)


def compare_notices(channel: str, arrived: Sequence[Received], found: Stored, told: Sequence[Notice], start: datetime) -> None:
    """Exactly the notifications that follow, each once. What was decided after ``found`` was read is not looked at."""
    assert len({one.id for one in arrived}) == len(arrived), f"{channel} received an id twice"
    rows = {identity: row for identity, row in found.notifications.items() if row.channel.name == channel}
    seen = []
    for one in arrived:
        if one.id not in rows:
            late = stored(start)
            assert late is not None
            assert late.notifications[one.id].channel.name == channel, f"{channel} received what was never sent to it"
            assert late.notifications[one.id].minute >= start + found.until * MINUTE
            continue
        minute = rows[one.id].minute
        assert one.minute in {None, f"{minute:%Y-%m-%dT%H:%M:%SZ}"}
        seen.append(Notice((minute - start) // MINUTE, one.rule, one.kind, one.tenants))
    assert sorted(seen) == sorted(told), channel
