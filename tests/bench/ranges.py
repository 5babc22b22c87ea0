"""What 10,000 tenants have stored, and how fast an hour of theirs is compacted."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, Final

import numpy as np
from django.db import connection, transaction

HOUR, DAY = 60, 1_440
TENANTS: Final = 10_000
VARIANTS: Final = 97
"""Of the bytes of a row: together they have as many members as conversations are there."""
TENANT: Final = "tenant-0"
SERIES: Final = (
    ("interactions", ""), ("interactions_answered", ""), ("response_time", ""), ("confidence", ""), ("conversations", ""),
    ("tokens", '{"kind":"input"}'), ("tokens", '{"kind":"output"}'),
    ("cost", '{"model":"gpt-4o"}'), ("model_usage", '{"model":"gpt-4o"}'),
)  # fmt: skip
"""Of a tenant."""
MORE: Final = (
    *SERIES, ("interactions_failed", ""), ("handoff_conversations", ""), ("knowledge_searches", ""), ("knowledge_hits", ""),
    ("knowledge_results", ""), ("llm_call_duration", '{"provider":"openai"}'), ("llm_call_duration", '{"provider":"anthropic"}'),
    *(("intents", f'{{"intent":"intent {n}"}}') for n in range(20)),
    *(("handoffs", f'{{"reason":"reason {n}"}}') for n in range(8)),
    *(("errors", f'{{"operation":"operation {n}"}}') for n in range(8)),
    *((metric, f'{{"model":"model {n}"}}') for n in range(8) for metric in ("cost", "model_usage")),
)  # fmt: skip
"""Of all tenants together, and of the tenant that is read."""
HISTOGRAMS: Final = ("response_time", "confidence", "llm_call_duration")
SKETCHES: Final = ("conversations", "handoff_conversations")
ROW: Final = "ts, count, sum, min, max, series_id, resolution, part, data"


def compaction(tenants: int = TENANTS) -> list[dict[str, Any]]:
    """One row a size: how long an hour of minutes takes to become an hour, in one process."""
    now = int(time.time() // 60)
    _tables(now, tenants)
    return [_compaction(size, now // HOUR * HOUR - HOUR) for size in (tenants // 10, tenants)]


def past(now: int, tenants: int = TENANTS) -> None:
    """Everything that was stored until a minute: of all tenants together for a day, of one tenant for 90."""
    _tables(now, tenants)
    _compaction(tenants, now // HOUR * HOUR - HOUR)
    _history(now)


def _tables(now: int, tenants: int) -> None:
    """The series of so many tenants, and shards that are complete up to a minute."""
    from apps.monitoring.core.clock import to_datetime
    from apps.monitoring.models import ShardProgress

    _series(tenants)
    for shard in range(8):
        ShardProgress.objects.update_or_create(
            shard=shard, defaults={"complete_until": to_datetime(now), "ticked_at": to_datetime(now)}
        )


def _series(tenants: int) -> None:
    """The series of everybody, in a table with what the rows are made from."""
    from apps.monitoring.ingest.hotstore import shard_of

    names = [f"tenant-{number}" for number in range(tenants)]
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE bench_tenant (tenant text, number int, part smallint)")
        with cursor.copy("COPY bench_tenant FROM STDIN") as copy:
            for number, name in enumerate(names):
                copy.write_row((name, number, shard_of(name, 8)))
        for owners, series in (("SELECT tenant FROM bench_tenant", SERIES), (f"VALUES (''), ('{TENANT}')", MORE)):
            cursor.execute(
                "INSERT INTO monitoring_series (tenant, metric, labels) SELECT t.tenant, w.metric, w.labels "
                f"FROM ({owners}) AS t (tenant), unnest(%s::text[], %s::text[]) AS w (metric, labels) "
                "ORDER BY 1, 2, 3 ON CONFLICT DO NOTHING",
                [list(column) for column in zip(*series, strict=True)],
            )
        cursor.execute(
            "CREATE TABLE bench_series AS SELECT s.id, s.metric, s.tenant, t.number, t.part, metric = ANY(%s) AS histogram, "
            "metric = ANY(%s) AS sketch FROM monitoring_series s LEFT JOIN bench_tenant t USING (tenant)",
            [list(HISTOGRAMS), list(SKETCHES)],
        )
        cursor.execute("CREATE TABLE bench_data (kind text, size text, number int, data bytea)")
        with cursor.copy("COPY bench_data FROM STDIN (FORMAT BINARY)") as copy:
            copy.set_types(["text", "text", "int4", "bytea"])
            for row in _data():
                copy.write_row(row)
        cursor.execute("CREATE INDEX ON bench_data (kind, size, number); ANALYZE bench_series; ANALYZE bench_data")


def _data() -> Iterator[tuple[str, str, int, bytes]]:
    """Some of each: what a tenant has in a minute, everybody in a minute, and anybody in an hour or a day."""
    from apps.monitoring.core import distinct, histogram

    generator = np.random.default_rng(7)
    for size, samples, members in (("small", 3, 2), ("minute", 400, 250), ("long", 20_000, 12_000)):
        for number in range(VARIANTS):
            buckets = np.unique(np.round(generator.normal(1_300, 60, samples)), return_counts=True)
            counts = {int(bucket): int(count) for bucket, count in zip(*buckets, strict=True)}
            yield "histogram", size, number, histogram.encode(counts)
            for kind, share in (("conversations", 1), ("handoff_conversations", 0.1)):
                hashes = generator.integers(0, 2**63, math.ceil(members * share)).astype(np.uint64)
                yield kind, size, number, distinct.encode(hashes)


def _fill(resolution: int, size: str, minutes: range, where: str, parts: str) -> int:
    """Rows of the chosen series for each period that begins in the range."""
    from apps.monitoring.core.clock import to_datetime
    from apps.monitoring.core.resolution import Resolution
    from apps.monitoring.rollup import partitions

    for minute in {minutes[0], minutes[-1], *minutes[:: DAY // minutes.step or 1]}:
        partitions.ensure(Resolution(resolution), to_datetime(minute))
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO monitoring_metricsnapshot ({ROW}) SELECT p.ts, 3, CASE WHEN NOT sketch THEN 3000 END, "
            "CASE WHEN histogram THEN 100 END, CASE WHEN histogram THEN 90000 END, s.id, %s, o.part, d.data "
            "FROM generate_series(%s::timestamptz, %s, %s) WITH ORDINALITY AS p (ts, number) "
            f"CROSS JOIN bench_series s CROSS JOIN LATERAL ({parts}) AS o (part) "
            "LEFT JOIN bench_data d ON d.kind = CASE WHEN histogram THEN 'histogram' WHEN sketch THEN metric END "
            f"AND d.size = %s AND d.number = (s.id + p.number + o.part) %% {VARIANTS} WHERE {where} ORDER BY p.ts, o.part, s.id",
            [
                resolution, to_datetime(minutes[0]), to_datetime(minutes[-1]), timedelta(minutes=minutes.step), size,
            ],
        )  # fmt: skip
        return int(cursor.rowcount)


def _compaction(tenants: int, hour: int) -> dict[str, Any]:
    """Every minute of an hour of so many tenants, compacted shard by shard in one process."""
    from apps.monitoring.core.resolution import Resolution
    from apps.monitoring.rollup import compaction, periods
    from apps.monitoring.rollup.periods import Period

    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE monitoring_metricsnapshot, monitoring_compaction")
    rows = _fill(1, "small", range(hour, hour + HOUR), f"s.number < {tenants}", "SELECT s.part")
    for shard in range(8):
        with transaction.atomic():
            periods.touch(Period(Resolution.HOUR, shard, hour))
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE monitoring_metricsnapshot")
    began = time.perf_counter()
    done = [compaction.compact(Period(Resolution.HOUR, shard, hour)) for shard in range(8)]
    seconds = time.perf_counter() - began
    assert sum(read for read, _ in done) == rows
    return {
        "tenants": tenants,
        "minute_rows": rows,
        "hour_rows": sum(written for _, written in done),
        "seconds": round(seconds, 2),
        "minute_rows_per_s": round(rows / seconds),
    }


def _history(now: int) -> None:
    """What everybody together did for two days, and one tenant for 90, beside an hour of minutes of all tenants."""
    from apps.monitoring.core.clock import to_datetime
    from apps.monitoring.core.resolution import Resolution
    from apps.monitoring.rollup import periods
    from apps.monitoring.rollup.periods import Period

    today = now // DAY * DAY
    everybody, one = "s.tenant = ''", f"s.tenant = '{TENANT}'"
    all_parts, own_part = "SELECT generate_series(0, 7)", "SELECT s.part"
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM monitoring_metricsnapshot m USING bench_series s WHERE s.id = m.series_id AND " + one)
    _fill(1, "minute", range(now - 26 * HOUR, now), everybody, all_parts)
    _fill(60, "long", range((now - 26 * HOUR) // HOUR * HOUR, now // HOUR * HOUR, HOUR), everybody, all_parts)
    _fill(1, "small", range(now - 91 * DAY // 60, now), one, own_part)
    for start in (now - 7 * DAY, now - 90 * DAY):
        _fill(1, "small", range(start - HOUR, start + HOUR), one, own_part)
        first = start // HOUR * HOUR
        _fill(60, "small", range(first, first + DAY, HOUR), one, own_part)
    _fill(60, "small", range(today, now // HOUR * HOUR, HOUR), one, own_part)
    _fill(1440, "long", range(today - 90 * DAY, today, DAY), one, own_part)
    with connection.cursor() as cursor:  # as compaction leaves it
        cursor.execute(
            "INSERT INTO monitoring_compaction (resolution, shard, ts, changes, compacted, compacted_at, rows) "
            "SELECT DISTINCT resolution, part, ts, 1, 1, now(), 0 FROM monitoring_metricsnapshot WHERE resolution > 1 "
            "ON CONFLICT DO NOTHING"
        )
        cursor.execute(  # as the roll-up leaves it
            "INSERT INTO monitoring_rollupbatch (id, shard, minute, rows, late, committed_at) "
            "SELECT gen_random_uuid(), shard, minute, 1, false, now() "
            "FROM generate_series(%s, %s, interval '1 minute') AS minutes (minute), generate_series(0, 7) AS shard",
            [to_datetime(now - 36 * DAY), to_datetime(now - 1)],
        )
    for shard in range(8):
        with transaction.atomic():
            periods.touch(Period(Resolution.HOUR, shard, now // HOUR * HOUR))  # the hour under way
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE monitoring_metricsnapshot, monitoring_series, monitoring_rollupbatch")
