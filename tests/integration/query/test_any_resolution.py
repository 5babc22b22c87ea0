"""The answer is the same whatever made the rows: flushes, batches, shards, compactions, and what retention dropped."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
import redis
from django.utils import timezone
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from apps.monitoring.alerts.measure import Windows
from apps.monitoring.alerts.sweep import Sweep
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
from tests.integration.ingest.hot import Writer, interaction
from tests.integration.rollup.stored import clear, compact, roll_up, send
from tests.unit.ingest.made import KINDS, event, merged

TENANTS = ("acme", "bolt", "cyan")
DAYS = 3
FIRST = Resolution.DAY.floor(to_minute(timezone.now() - timedelta(days=6)))
LAST = FIRST + DAYS * Resolution.DAY
STEPS = (1, 20, 60, 180, 1_440)


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


@dataclass(frozen=True)
class Course:
    """What happens to the events of a seed, one thing after another.

    So a batch has any number of flushes, and a minute any number of batches, most of them late.
    """

    seed: int
    shards: int
    happens: list[str]
    """``flush``: a part of the events comes, from one of two writers. ``roll`` and ``compact``: what is due. ``ask``: see below."""
    dropped: int
    """Days whose minutes go after the first compaction."""
    live: bool
    """Whether the last flush is still in the hot store in the end."""


courses = st.builds(
    Course,
    seed=st.integers(0, 10**6),
    shards=st.sampled_from([1, 3, 8]),
    happens=st.lists(st.sampled_from(["flush", "flush", "flush", "roll", "roll", "compact", "ask"]), max_size=9),
    dropped=st.integers(0, 2),
    live=st.booleans(),
)


@pytest.fixture
def settings_of_django(request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue("settings")


@pytest.mark.usefixtures("stores")
@settings(
    max_examples=6,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(course=courses)
@example(
    course=Course(1, 3, ["flush", "roll", "compact", "ask", "flush", "flush", "roll", "ask", "flush", "compact"], 2, live=False)
)
@example(course=Course(2, 8, ["flush", "roll", "compact", "ask", "flush", "roll", "ask"], 0, live=True))
@example(course=Course(3, 1, ["flush", "flush", "roll", "flush", "ask", "roll", "compact", "ask"], 0, live=False))
def test_whatever_made_the_rows_the_answers_are_those_of_the_events(
    settings_of_django: Any, valkey: redis.Redis, course: Course
) -> None:
    clear(valkey)
    RetentionFloor.objects.all().delete()
    settings_of_django.MONITORING_SHARDS = course.shards
    generator = random.Random(course.seed)
    slots, dropped = play(course, generator)
    check_summaries(slots, generator, 6, dropped)
    check_steps(slots, generator, dropped, STEPS)
    if not course.live:
        check_rules(slots, generator, dropped)
        check_sweeps(slots, generator, dropped)


def play(course: Course, generator: random.Random) -> tuple[Slots, int]:
    """What all the events come to, and of how many days the minutes are dropped."""
    writers = [Writer(HotStore.from_conf()) for _ in range(2)]
    events = made(course.seed, 70)
    generator.shuffle(events)
    flushes = course.happens.count("flush") + 1
    parts = [events[part::flushes] for part in range(flushes)]
    flushed: list[Event] = []
    dropped = 0
    for what in [*course.happens, "flush", *([] if course.live else ["roll"])]:
        match what:
            case "flush":
                assert generator.choice(writers).send(*parts[0])
                flushed += parts.pop(0)
            case "roll":
                roll_up((LAST + 10) * 60.0)
            case "compact":
                compact()
                if course.dropped and not dropped:
                    dropped = course.dropped
                    floors.move(Resolution.MINUTE, to_datetime(FIRST + dropped * Resolution.DAY), timezone.now())
            case "ask":
                check_summaries(merged(flushed), generator, 2, dropped)
                check_steps(merged(flushed), generator, dropped, (generator.choice(STEPS),))
    return merged(events), dropped


def check_summaries(slots: Slots, generator: random.Random, ranges: int, dropped: int) -> None:
    for _ in range(ranges):
        start, end = sorted(generator.sample(range(FIRST, LAST + 1), 2))
        for tenant in (generator.choice(TENANTS), GLOBAL):
            reading = source.read(tenant, start, end, HotStore.from_conf())
            assert reading.start <= start < end <= reading.end
            if not dropped:
                assert (reading.start, reading.end) == (start, end)
            assert summarize(reading.cells) == summarize(plain(slots, tenant, reading.start, reading.end))


def check_steps(slots: Slots, generator: random.Random, dropped: int, steps: Sequence[int]) -> None:
    for step in steps:
        start = FIRST + step * generator.randrange((LAST - FIRST) // step)
        if dropped and step < 60:
            start = max(start, FIRST + dropped * Resolution.DAY)
        tenant = generator.choice([*TENANTS, None])
        metrics = ["interactions", "response_time"]
        over = Range.covering(to_datetime(start), to_datetime(LAST), step)
        found = series.steps(tenant, metrics, over, series.cells(metrics)).answers
        for at in range(start, LAST, step):
            wanted = Reader(plain(slots, tenant or GLOBAL, at, at + step))
            read = Reader(found.get(at, {}))
            assert read.count("interactions") == wanted.count("interactions")
            assert read.quantile("response_time", 0.95) == wanted.quantile("response_time", 0.95)


RULES: tuple[tuple[str, str], ...] = (
    ("response_time", "p95"),
    ("interactions", "count"),
    ("conversations", "count"),
    ("handoff_rate", "ratio"),
    ("cost", "sum"),
)


def rule(metric: str, statistic: str, window: int, scope: Scope) -> Rule:
    return Rule(name="r", metric=metric, statistic=statistic, operator="gt", threshold=0.0, window=window, scope=scope)


def told(metric: str, statistic: str, cells: Cells) -> float | None:
    """What a rule on it should see."""
    read = Reader(cells)
    match statistic:
        case "p95":
            return read.quantile(metric, 0.95)
        case "ratio":
            return read.ratio(metric)
        case "sum":
            return read.unit_sum(metric)
    return float(read.count(metric)) or None


def check_rules(slots: Slots, generator: random.Random, dropped: int) -> None:
    for window in (1, 60, 200, 1_500, 3_000):
        minute = generator.randrange(LAST - 60, LAST)
        start = minute + 1 - window
        if dropped and start < FIRST + dropped * Resolution.DAY:
            start = Resolution.HOUR.floor(start)
        windows = Windows(minute)
        for metric, statistic in RULES:
            for scope, tenants in ((Scope.EVERY_TENANT, TENANTS), (Scope.GLOBAL, ("",))):
                given = rule(metric, statistic, window, scope)
                seen = windows.measure(given)
                for tenant in tenants:
                    wanted = told(metric, statistic, plain(slots, tenant, start, minute + 1))
                    found = seen.get(tenant, NOTHING).value
                    assert found == (None if wanted is None else pytest.approx(wanted, rel=1e-12)), (metric, window, tenant)


def check_sweeps(slots: Slots, generator: random.Random, dropped: int) -> None:
    """What a backtest sees in three minutes that follow each other. It looks at minutes only, which have to be there."""
    for window in (1, 60, 500):
        first = max(generator.randrange(FIRST, LAST - 3), FIRST + dropped * Resolution.DAY + window)
        for metric, statistic in RULES:
            scope = generator.choice([Scope.EVERY_TENANT, Scope.GLOBAL])
            sweep = Sweep(rule(metric, statistic, window, scope), first, first + 3)
            for frame in sweep:
                for row, tenant in enumerate(frame.tenants):
                    for column, minute in enumerate(range(frame.start, frame.end)):
                        wanted = told(metric, statistic, plain(slots, tenant, minute + 1 - window, minute + 1))
                        found = frame.seen(row, column).value
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
        over = Range.covering(to_datetime(FIRST), to_datetime(LAST), 120)
        assert series.steps(None, ["interactions"], over, series.cells(["interactions"])).answers == {}

    @pytest.mark.parametrize("step", [0, 7, 2_880])
    def test_a_step_that_divides_no_day_is_refused(self, step: int) -> None:
        with pytest.raises(RangeError, match="divide a day"):
            Range.covering(to_datetime(FIRST), to_datetime(LAST), step)

    def test_too_many_points_are_refused(self) -> None:
        with pytest.raises(RangeError, match="too many"):
            Range.covering(to_datetime(FIRST - 20_000), to_datetime(LAST), 1)
