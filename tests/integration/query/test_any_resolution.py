"""The answer is the same whatever made the rows: flushes, batches, shards, compactions, and what retention dropped."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
import redis
from django.utils import timezone
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from apps.monitoring.alerts.measure import Windows
from apps.monitoring.core.clock import to_datetime, to_minute
from apps.monitoring.core.event import Event
from apps.monitoring.core.judging import NOTHING
from apps.monitoring.core.resolution import Resolution
from apps.monitoring.core.rules import Rule, Scope
from apps.monitoring.core.series import GLOBAL
from apps.monitoring.core.summary import Reader, summarize
from apps.monitoring.ingest.buffer import Slots
from apps.monitoring.ingest.hotstore import Held, HotStore
from apps.monitoring.models import RetentionFloor
from apps.monitoring.query import series, source
from apps.monitoring.query.errors import RangeError
from apps.monitoring.query.series import Range
from apps.monitoring.query.summary import summary
from apps.monitoring.rollup import floors
from apps.monitoring.rollup.cells import Cells, cells_of, merge
from tests.integration.ingest.hot import interaction
from tests.integration.rollup.stored import compact, roll_up, send
from tests.integration.rollup.test_rollup import clear
from tests.unit.ingest.made import KINDS, event, merged

TENANTS = ("acme", "bolt", "cyan")
DAYS = 3
FIRST = Resolution.DAY.floor(to_minute(timezone.now() - timedelta(days=6)))
LAST = FIRST + DAYS * Resolution.DAY


def made(seed: int, count: int) -> list[Event]:
    """Events over some days, most of them near the ends of hours and days."""
    generator = random.Random(seed)
    found: list[Event] = []
    for _ in range(count):
        edge = FIRST + generator.choice([60 * generator.randrange(24 * DAYS), Resolution.DAY * generator.randrange(DAYS)])
        minute = min(max(FIRST, edge + generator.randrange(-3, 4)), LAST - 1)
        tenant = generator.choice(TENANTS)
        found.append(
            interaction(
                generator.randrange(40),
                tenant,
                minute,
                processing_time_ms=generator.lognormvariate(6, 2),
                model_used=generator.choice(["gpt-4o", "mini"]),
                handoff_triggered=generator.random() < 0.3,
                agent_response=generator.choice(["yes", "yes", None]),
                estimated_cost=generator.choice([None, 0.013]),
            )
        )
        if generator.random() < 0.3:
            found.append(event(generator.choice(list(KINDS)), minute * 60.0, tenant))
    return found


def plain(slots: Slots, tenant: str, start: int, end: int) -> Cells:
    """The cells of a range, added up in memory from what the buffer made of the events."""
    cells: Cells = {}
    for (minute, owner), slot in slots.items():
        if start <= minute < end and tenant in {owner, GLOBAL}:
            fields = {**dict(slot.sums()), **dict(slot.lows()), **dict(slot.highs())}
            members = {code: frozenset(found) for code, found in slot.members.items()}
            merge(cells, cells_of(Held(owner, fields, members)))
    return cells


def shuffled(events: Sequence[Event], parts: int, seed: int) -> list[list[Event]]:
    mixed = list(events)
    random.Random(seed).shuffle(mixed)
    return [mixed[part::parts] for part in range(parts)]


@pytest.fixture
def settings_of_django(request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue("settings")


@pytest.mark.usefixtures("stores")
@settings(
    max_examples=8,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    seed=st.integers(0, 10**6),
    parts=st.integers(1, 4),
    shard_count=st.sampled_from([1, 3, 8]),
    compacted=st.lists(st.booleans(), min_size=4, max_size=4),
    live=st.booleans(),
    dropped=st.integers(0, 2),
)
@example(seed=1, parts=3, shard_count=3, compacted=[True, False, True, True], live=False, dropped=2)
@example(seed=2, parts=2, shard_count=8, compacted=[True, False, False, False], live=True, dropped=0)
def test_whatever_made_the_rows_the_answers_are_those_of_the_events(  # noqa: PLR0913, PLR0917 - what is drawn
    settings_of_django: Any,
    valkey: redis.Redis,
    seed: int,
    parts: int,
    shard_count: int,
    compacted: list[bool],
    live: bool,  # noqa: FBT001
    dropped: int,
) -> None:
    clear(valkey)
    RetentionFloor.objects.all().delete()
    settings_of_django.MONITORING_SHARDS = shard_count
    events = made(seed, 120)
    generator = random.Random(seed)
    for number, part in enumerate(shuffled(events, parts, seed)):
        send(*part)
        if not (live and number == parts - 1):
            roll_up((LAST + 10) * 60.0)
        if compacted[number]:
            compact()
        if dropped and number == 0:
            compact()
            floors.move(Resolution.MINUTE, to_datetime(FIRST + dropped * Resolution.DAY), timezone.now())
    slots = merged(events)
    for _ in range(6):
        start, end = sorted(generator.sample(range(FIRST, LAST + 1), 2))
        for tenant in (generator.choice(TENANTS), GLOBAL):
            reading = source.read(tenant, start, end, HotStore.from_conf())
            assert reading.start <= start < end <= reading.end
            if not dropped:
                assert (reading.start, reading.end) == (start, end)
            assert summarize(reading.cells) == summarize(plain(slots, tenant, reading.start, reading.end))
    check_steps(slots, generator, dropped)
    if not live:
        check_rules(slots, generator, dropped)


def check_steps(slots: Slots, generator: random.Random, dropped: int) -> None:
    for step in (1, 20, 60, 180, 1_440):
        start = FIRST + step * generator.randrange((LAST - FIRST) // step)
        if dropped and step < 60:
            start = max(start, FIRST + dropped * Resolution.DAY)
        tenant = generator.choice([*TENANTS, None])
        found = series.steps(
            tenant, ["interactions", "response_time"], Range.covering(to_datetime(start), to_datetime(LAST), step)
        ).cells
        for at in range(start, LAST, step):
            wanted = Reader(plain(slots, tenant or GLOBAL, at, at + step))
            read = Reader(found.get(at, {}))
            assert read.count("interactions") == wanted.count("interactions")
            assert read.quantile("response_time", 0.95) == wanted.quantile("response_time", 0.95)


def check_rules(slots: Slots, generator: random.Random, dropped: int) -> None:
    for window in (1, 60, 200, 1_500, 3_000):
        minute = generator.randrange(LAST - 60, LAST)
        start = minute + 1 - window
        if dropped and start < FIRST + dropped * Resolution.DAY:
            start = Resolution.HOUR.floor(start)
        given: dict[str, Any] = {"name": "r", "operator": "gt", "threshold": 0.0, "window": window}
        windows = Windows(minute)
        for metric, statistic in [
            ("response_time", "p95"),
            ("interactions", "count"),
            ("handoff_rate", "ratio"),
            ("cost", "sum"),
        ]:
            for scope, tenants in ((Scope.EVERY_TENANT, TENANTS), (Scope.GLOBAL, ("",))):
                seen = windows.measure(Rule(**given, metric=metric, statistic=statistic, scope=scope))
                for tenant in tenants:
                    read = Reader(plain(slots, tenant, start, minute + 1))
                    wanted = {
                        "p95": lambda read=read: read.quantile("response_time", 0.95),
                        "count": lambda read=read: float(read.count("interactions")) or None,
                        "ratio": lambda read=read: read.ratio("handoff_rate"),
                        "sum": lambda read=read: read.unit_sum("cost"),
                    }[statistic]()
                    found = seen.get(tenant, NOTHING).value
                    assert found == (None if wanted is None else pytest.approx(wanted, rel=1e-12)), (metric, window, tenant)


@pytest.mark.usefixtures("stores")
class TestWhatIsNotKeptAnyMore:
    def test_a_summary_says_that_its_range_is_wider(self) -> None:
        send(*[interaction(n, minute=FIRST + n) for n in range(120)])
        roll_up((LAST + 10) * 60.0)
        compact()
        floors.move(Resolution.MINUTE, to_datetime(FIRST + Resolution.DAY), timezone.now())
        found = summary("acme", to_datetime(FIRST + 70), to_datetime(FIRST + 80))
        assert (found["from"], found["to"]) == tuple(f"{to_datetime(FIRST + n):%Y-%m-%dT%H:%M:%SZ}" for n in (60, 120))
        assert found["interactions"]["total"] == 60

    def test_steps_finer_than_what_is_kept_are_refused_with_what_would_do(self) -> None:
        floors.move(Resolution.MINUTE, to_datetime(FIRST + Resolution.DAY), timezone.now())
        with pytest.raises(RangeError, match="60 divides"):
            Range.covering(to_datetime(FIRST), to_datetime(LAST), 5)
        assert series.steps(None, ["interactions"], Range.covering(to_datetime(FIRST), to_datetime(LAST), 120)).cells == {}

    @pytest.mark.parametrize("step", [0, 7, 2_880])
    def test_a_step_that_divides_no_day_is_refused(self, step: int) -> None:
        with pytest.raises(RangeError, match="divide a day"):
            Range.covering(to_datetime(FIRST), to_datetime(LAST), step)

    def test_too_many_points_are_refused(self) -> None:
        with pytest.raises(RangeError, match="too many"):
            Range.covering(to_datetime(FIRST - 20_000), to_datetime(LAST), 1)
