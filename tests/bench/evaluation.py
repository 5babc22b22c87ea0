"""What it costs to judge a minute, beside Prometheus judging the same data by the same rules on the same machine.

Ours is one call of `evaluate` for one minute: everything read from Postgres, every tenant of the nine default rules judged,
and states, alerts, history, notifications and progress written and committed. Prometheus says itself how long its group of
nine alerting rules took (``prometheus_rule_group_last_duration_seconds``): everything read from its memory, judged, and the
``ALERTS`` series written to its memory. The two take turns, the other one doing nothing meanwhile, and each figure is a median.

Both have the same tenants and minutes. A minute of a tenant is ten answers in five conversations and three searches. Where
the two cannot be made equal, Prometheus has the easier part:

- It holds the response time in 14 buckets, we in buckets of 1 %: its percentile may be far off, ours by half a per cent.
- It cannot count different conversations over a window, so it has counters of them; we unite sets.
- It has a sample of a series each 15 seconds, as its packaged configuration scrapes; ours are minutes, whatever came in them.
- It has only the series that the rules need, we 21 a tenant, as traffic leaves them.
- Its rules leave out ``min_samples`` and the cooldown; its alerts go nowhere, ours are written for a channel.
- It loses its memory when it is killed, but for a log; we commit.

The cases follow one another. The first minute that a worker judges after its start, when nobody fires; one tenant in fifty
breaches every rule, and begins to fire; nothing changes; everybody begins to fire by every rule, because the thresholds are
moved; all of it goes on; and all of it ends but for the fiftieth part. What is claimed is claimed of the first three, the
second and third of which are what a minute is like; the others show what the worst ones cost. A transition is three committed
rows with their indexes here, and two samples in memory there.

A minute's rows are remembered by the batches that it came with. So the batches of the minute that is to be judged are renewed
before it is, and those of all minutes before the first case: the newest minute is never remembered, nor is any after a start.
"""

from __future__ import annotations

import gc
import itertools
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from django.db import connection
from django.utils import timezone

from tests.bench.prometheus import Labels, Prometheus, Samples, provide

SIZES: Final = (1_000, 2_000, 5_000, 10_000)
BESIDE: Final = 2_000
"""Tenants that Prometheus judges, too."""
CASES: Final = {
    "first after a start": "nobody",
    "2 % begin to fire": "some",
    "nothing changes": "some",
    "all begin to fire": "everybody",
    "all go on firing": "everybody",
    "all but 2 % end": "some",
}
"""And who breaches the rules."""
_BEYOND: Final = 1e9
"""No value is."""
BAD: Final = 50
"""One tenant in so many breaches every rule, and always does the same."""
RULES: Final = 9
ROUNDS: Final = 3
NEEDED: Final = 15
"""Minutes of the longest window."""
SCRAPES: Final = 4
"""Samples of a series a minute."""
AHEAD: Final = 15
"""Minutes after now that Prometheus has samples of: it judges by the clock, for as long as the benchmark takes."""
INTERVAL: Final = 5
"""Seconds between two evaluations of Prometheus."""
VARIANTS: Final = 97
BOUNDS: Final = (0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 7.5, 10.0, 15.0, 30.0)
"""Upper ends of the buckets in seconds; with the one that has none they are 14."""
ROW: Final = "ts, count, sum, min, max, series_id, resolution, part, data"


@dataclass(frozen=True, slots=True)
class Minute:
    """What one tenant does in one minute."""

    answers: Sequence[float]
    """Milliseconds."""
    failed: int
    handoffs: int
    hits: int
    costs: Mapping[str, int]
    """By model, in nano-dollars."""
    conversations: Any
    """Hashes."""

    SEARCHES = 3


def measure() -> list[dict[str, Any]]:
    """Prometheus beside us for `BESIDE` tenants, and how ours grows, in each case."""
    minutes = _minutes()
    now = int(time.time() // 60)
    found: list[dict[str, Any]] = []
    for size in SIZES:
        _fill(size, minutes, now)
        found += _beside(size, minutes, now) if size == BESIDE else _alone(size, now)
    return found


def _alone(tenants: int, now: int) -> list[dict[str, Any]]:
    taken: dict[str, list[float]] = {case: [] for case in CASES}
    for _ in range(ROUNDS):
        for case, seconds in _round(tenants, now):
            taken[case].append(seconds)
    return [_row(tenants, case, statistics.median(taken[case])) for case in CASES]


def _beside(tenants: int, minutes: Sequence[Minute], now: int) -> list[dict[str, Any]]:
    program = provide()
    if program is None:
        return [{**row, "prometheus_s": "not to be had"} for row in _alone(tenants, now)]
    with tempfile.TemporaryDirectory(prefix="agentmon-prometheus-") as folder:
        server = Prometheus(program, Path(folder), INTERVAL)
        try:
            server.write(_samples(tenants, minutes, now))
            return _taking_turns(tenants, now, server)
        finally:
            server.stop()


def _taking_turns(tenants: int, now: int, server: Prometheus) -> list[dict[str, Any]]:
    ours: dict[str, list[float]] = {case: [] for case in CASES}
    theirs: dict[str, list[float]] = {case: [] for case in CASES}
    who = ""
    for _ in range(ROUNDS):

        def turn(case: str) -> None:
            nonlocal who
            server.go_on()
            if who != CASES[case]:
                who = CASES[case]
                server.judge_by(_conditions(who))
            theirs[case].append(server.next_evaluation())
            assert server.firing() == _firing(tenants, case), (case, server.firing())
            server.pause()

        for case, seconds in _round(tenants, now, turn):
            ours[case].append(seconds)
    return [_row(tenants, case, statistics.median(ours[case]), statistics.median(theirs[case])) for case in CASES]


def _firing(tenants: int, case: str) -> int:
    """How many alerts fire in a case."""
    return RULES * {"nobody": 0, "some": -(-tenants // BAD), "everybody": tenants}[CASES[case]]


def _row(tenants: int, case: str, ours: float, theirs: float | None = None) -> dict[str, Any]:
    return {
        "case": f"{tenants} tenants, {case}",
        "seconds": round(ours, 3),
        "us_a_tenant": round(ours / tenants * 1e6, 1),
        "prometheus_s": "-" if theirs is None else round(theirs, 3),
        "ratio": "-" if theirs is None else round(ours / theirs, 3),
    }


def _round(tenants: int, now: int, turn: Callable[[str], None] | None = None) -> Iterator[tuple[str, float]]:
    """As many minutes, judged one after the other from nothing, each one of the cases."""
    from apps.monitoring.alerts.evaluate import evaluate
    from apps.monitoring.core.clock import to_datetime
    from apps.monitoring.models import AlertState, AlertTransition, EvaluationProgress, ShardProgress

    first = now - len(CASES)
    with connection.cursor() as cursor:
        cursor.execute(
            "TRUNCATE monitoring_alertstate, monitoring_alerttransition, monitoring_alert, monitoring_notification CASCADE"
        )
        # What Postgres knows where nothing has fired for a while.
        cursor.execute(
            "VACUUM ANALYZE monitoring_alertstate, monitoring_alerttransition, monitoring_alert, monitoring_notification"
        )
    EvaluationProgress.objects.update_or_create(
        id=1, defaults={"next_minute": to_datetime(first), "ran_at": to_datetime(first)}
    )
    before = 0
    _renew(first - NEEDED, first)
    for number, case in enumerate(CASES):
        if turn is not None:
            turn(case)
        _rules(CASES[case])
        _renew(first + number, first + number + 1)
        ShardProgress.objects.update(complete_until=to_datetime(first + number + 1))
        gc.collect()
        began = time.perf_counter()
        report = evaluate((now + 1) * 60.0)
        seconds = time.perf_counter() - began
        assert report.minutes == 1, report
        firing = AlertState.objects.filter(status="firing").count()
        assert firing == _firing(tenants, case), (case, firing)
        changed = AlertTransition.objects.filter(minute=to_datetime(first + number)).count()
        assert changed == abs(firing - before), (case, changed)
        before = firing
        yield case, seconds


def _renew(start: int, end: int) -> None:
    """Nobody has read the rows of these minutes yet."""
    from apps.monitoring.core.clock import to_datetime
    from apps.monitoring.models import RollupBatch

    RollupBatch.objects.filter(minute__gte=to_datetime(start), minute__lt=to_datetime(end)).update(committed_at=timezone.now())


def _rules(who: str) -> None:
    """The default rules for each tenant, as they are or so that nobody or everybody breaches them."""
    from apps.monitoring.alerts.defaults import DEFAULT_RULES
    from apps.monitoring.models import AlertRule

    for made in DEFAULT_RULES:
        if made["name"] == "model-price-unknown":
            continue
        AlertRule.objects.filter(name=made["name"]).update(threshold=_threshold(made, who))


def _threshold(made: Mapping[str, Any], who: str) -> float:
    low_is_bad = made["operator"] == "lt"
    beyond: dict[str, float] = {"everybody": 2.0 if low_is_bad else -1.0, "nobody": -1.0 if low_is_bad else _BEYOND}
    return beyond.get(who, made["threshold"])


def _conditions(who: str) -> dict[str, str]:
    """The same rules as Prometheus writes them."""
    from apps.monitoring.alerts.defaults import DEFAULT_RULES

    def rate(metric: str, window: int) -> str:
        return f"sum by (tenant) (rate({metric}[{window}m]))"

    ratios = {
        "cost_per_conversation": ("cost_dollars_total", "conversations_total"),
        "handoff_rate": ("handoff_conversations_total", "conversations_total"),
        "knowledge_hit_rate": ("knowledge_hits_total", "knowledge_searches_total"),
        "error_rate": ("interactions_failed_total", "interactions_total"),
    }
    found: dict[str, str] = {}
    for made in DEFAULT_RULES:
        window, threshold = made.get("window_minutes", 5), _threshold(made, who)
        if made["metric"] == "response_time":
            q, threshold = {"p95": 0.95, "p99": 0.99}[made["statistic"]], threshold / (1_000 if threshold > 0 else 1)
            value = f"histogram_quantile({q}, sum by (tenant, le) (rate(response_time_seconds_bucket[{window}m])))"
        elif made["metric"] in ratios:
            above, below = ratios[made["metric"]]
            value = f"{rate(above, window)} / {rate(below, window)}"
        else:
            continue
        found[made["name"]] = f"{value} {'<' if made['operator'] == 'lt' else '>'} {threshold}"
    return found


def _minutes() -> list[Minute]:
    chance = np.random.default_rng(7)
    return [
        Minute(
            answers=chance.lognormal(7.3, 0.3, 10).tolist(),
            failed=int(number % 10 == 0),
            handoffs=int(number % 3 == 0),
            hits=2 + number % 2,
            costs={"gpt-4o": int(chance.integers(10**6, 10**7)), "gpt-4o-mini": int(chance.integers(10**5, 10**6))},
            conversations=chance.integers(0, 2**63, 5).astype(np.uint64),
        )
        for number in range(VARIANTS)
    ] + [Minute([12_000.0] * 10, 3, 3, 0, {"gpt-4o": 10**9, "gpt-4o-mini": 10**9}, np.arange(5, dtype=np.uint64))]


def _of(tenant: int, minute: int) -> int:
    """Which variant a tenant has in a minute."""
    return (tenant * 31 + minute) % VARIANTS if tenant % BAD else VARIANTS


def _samples(tenants: int, minutes: Sequence[Minute], now: int) -> Iterator[tuple[Labels, Samples]]:
    """The counters of Prometheus, each with its samples: what a minute brings comes evenly."""
    first = now - NEEDED - 2
    step = 60_000 // SCRAPES
    stamps = [first * 60_000 + step * number for number in range(1, (now + AHEAD - first) * SCRAPES + 1)]
    # Every variant's numbers, one column a counter; and what they come to minute after minute.
    numbers, names = _numbers(minutes)
    for tenant in range(tenants):
        own = np.repeat(numbers[[_of(tenant, minute) for minute in range(first, now + AHEAD)]] / SCRAPES, SCRAPES, axis=0)
        for labels, column in zip(names, np.cumsum(own, axis=0).T.tolist(), strict=True):
            yield {**labels, "tenant": f"tenant-{tenant}"}, list(zip(stamps, column, strict=True))


def _numbers(minutes: Sequence[Minute]) -> tuple[Any, list[dict[str, str]]]:
    names: list[dict[str, str]] = [
        *({"__name__": "response_time_seconds_bucket", "le": f"{bound:g}"} for bound in BOUNDS),
        {"__name__": "response_time_seconds_bucket", "le": "+Inf"},
        {"__name__": "response_time_seconds_sum"},
        {"__name__": "response_time_seconds_count"},
        {"__name__": "interactions_total"},
        {"__name__": "interactions_failed_total"},
        {"__name__": "conversations_total"},
        {"__name__": "handoff_conversations_total"},
        {"__name__": "knowledge_searches_total"},
        {"__name__": "knowledge_hits_total"},
        *({"__name__": "cost_dollars_total", "model": model} for model in minutes[0].costs),
    ]
    rows = []
    for one in minutes:
        taken = np.array(one.answers) / 1_000
        rows.append([
            *(int((taken <= bound).sum()) for bound in BOUNDS), taken.size, taken.sum(), taken.size, taken.size,
            one.failed, one.conversations.size, one.handoffs, one.SEARCHES, one.hits,
            *(cost / 1e9 for cost in one.costs.values()),
        ])  # fmt: skip
    return np.array(rows, dtype=np.float64), names


def _stored(number: int, one: Minute) -> Iterator[tuple[Any, ...]]:
    """The rows that our roll-up makes of a variant."""
    from apps.monitoring.core import distinct, histogram

    answers = [round(ms * 1_000) for ms in one.answers]
    buckets: dict[int, int] = {}
    for value in answers:
        histogram.merge(buckets, {histogram.bucket_of(value): 1})
    count = len(answers)
    counted: dict[tuple[str, str], tuple[Any, ...]] = {
        ("interactions", ""): (count, None, None, None, None),
        ("interactions_answered", ""): (count, None, None, None, None),
        ("response_time", ""): (count, sum(answers), min(answers), max(answers), histogram.encode(buckets)),
        ("confidence", ""): (count, 8_700_000, 610_000, 990_000, histogram.encode(buckets)),
        ("conversations", ""): (one.conversations.size, None, None, None, distinct.encode(one.conversations)),
        ("knowledge_searches", ""): (one.SEARCHES, None, None, None, None),
        ("knowledge_results", ""): (one.SEARCHES, 9, None, None, None),
        ("interactions_with_tokens", ""): (count, None, None, None, None),
        ("tokens", '{"kind":"input"}'): (count, 9_000, None, None, None),
        ("tokens", '{"kind":"output"}'): (count, 1_200, None, None, None),
    }
    for model, cost in one.costs.items():
        counted["cost", f'{{"model":"{model}"}}'] = (count // 2, cost, None, None, None)
        counted["model_usage", f'{{"model":"{model}"}}'] = (count // 2, None, None, None, None)
    for intent in ("refund", "delivery", "invoice"):
        counted["intents", f'{{"intent":"{intent}"}}'] = (3, None, None, None, None)
    if one.hits:
        counted["knowledge_hits", ""] = (one.hits, None, None, None, None)
    if one.failed:
        counted["interactions_failed", ""] = (one.failed, None, None, None, None)
    if one.handoffs:
        sketch = distinct.encode(one.conversations[: one.handoffs])
        counted["handoff_conversations", ""] = (one.handoffs, None, None, None, sketch)
        counted["handoffs", '{"reason":"customer asked"}'] = (one.handoffs, None, None, None, None)
    for (metric, labels), values in counted.items():
        yield (number, metric, labels, *values)


def _fill(tenants: int, minutes: Sequence[Minute], now: int) -> None:
    """What is rolled up of so many tenants in the minutes that the rounds look at, and nothing else."""
    from apps.monitoring.alerts.defaults import create_missing
    from apps.monitoring.core.clock import to_datetime
    from apps.monitoring.core.resolution import Resolution
    from apps.monitoring.ingest.hotstore import shard_of
    from apps.monitoring.models import AlertRule, Channel, ShardProgress
    from apps.monitoring.rollup import partitions

    create_missing()
    AlertRule.objects.filter(name="model-price-unknown").update(enabled=False)
    Channel.objects.get_or_create(name="log", defaults={"kind": "log", "is_default": True})
    first = now - len(CASES) - NEEDED
    for minute in (first, now):
        partitions.ensure(Resolution.MINUTE, to_datetime(minute))
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE monitoring_metricsnapshot, monitoring_series, monitoring_rollupbatch")
        cursor.execute("DROP TABLE IF EXISTS bench_tenant, bench_stored")
        cursor.execute("CREATE TABLE bench_tenant (tenant text, number int, part smallint)")
        with cursor.copy("COPY bench_tenant FROM STDIN") as copy:
            for number in range(tenants):
                copy.write_row((f"tenant-{number}", number, shard_of(f"tenant-{number}", 8)))
        cursor.execute(
            "CREATE TABLE bench_stored (variant int, metric text, labels text, count int8, sum int8, min int8, max int8, data bytea)"
        )
        with cursor.copy("COPY bench_stored FROM STDIN (FORMAT BINARY)") as copy:
            copy.set_types(["int4", "text", "text", "int8", "int8", "int8", "int8", "bytea"])
            for row in itertools.chain.from_iterable(_stored(number, one) for number, one in enumerate(minutes)):
                copy.write_row(row)
        cursor.execute("ANALYZE bench_tenant; ANALYZE bench_stored")
        cursor.execute(
            "INSERT INTO monitoring_series (tenant, metric, labels) SELECT t.tenant, w.metric, w.labels FROM bench_tenant t "
            "CROSS JOIN (SELECT DISTINCT metric, labels FROM bench_stored) AS w ORDER BY t.number, 2, 3"
        )
        cursor.execute("ANALYZE monitoring_series")
        for minute in range(first, now):
            cursor.execute(
                f"INSERT INTO monitoring_metricsnapshot ({ROW}) SELECT %s, b.count, b.sum, b.min, b.max, s.id, 1, t.part, b.data "
                f"FROM bench_tenant t JOIN bench_stored b ON b.variant = "
                f"CASE WHEN t.number %% {BAD} = 0 THEN {VARIANTS} ELSE (t.number * 31 + %s) %% {VARIANTS} END "
                "JOIN monitoring_series s USING (tenant, metric, labels) ORDER BY t.part, s.id",
                [to_datetime(minute), minute],
            )
        cursor.execute(
            "INSERT INTO monitoring_rollupbatch (id, shard, minute, rows, late, committed_at) "
            "SELECT gen_random_uuid(), shard, minute, 1, false, now() "
            "FROM generate_series(%s::timestamptz, %s, '1 minute') AS minutes (minute), generate_series(0, 7) AS shard",
            [to_datetime(first), to_datetime(now - 1)],
        )
        cursor.execute("VACUUM ANALYZE monitoring_metricsnapshot, monitoring_rollupbatch")
    for shard in range(8):
        ShardProgress.objects.update_or_create(
            shard=shard, defaults={"complete_until": to_datetime(first), "ticked_at": to_datetime(now)}
        )
