"""What rules read of short windows: each minute once, and again as soon as another batch came for it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection, transaction

from apps.monitoring.core import distinct
from apps.monitoring.core.clock import minute_of
from apps.monitoring.models import RollupBatch
from apps.monitoring.query import columns, slices
from apps.monitoring.query.slices import Roll
from tests.integration.ingest.hot import interaction
from tests.integration.rollup.stored import roll_up, send

pytestmark = pytest.mark.usefixtures("stores")

FIRST = minute_of(time.time()) - 90
METRICS = ("interactions", "response_time", "conversations", "cost", "handoff_conversations")
ODD = ('a "quoted" one', "naïve 🙂", "tab\tand\\slash", "{}", "[1]")


def read(
    *metrics: str, tenant: str | None = None, labels: dict[str, str] | None = None, window: int = 5, first: int = FIRST
) -> columns.Columns:
    with transaction.atomic():
        return columns.read(metrics or METRICS, tenant, labels or {}, first, first + window)


def counts(*, tenant: str | None = None, labels: dict[str, str] | None = None, first: int = FIRST) -> dict[str, float]:
    found = read("interactions", tenant=tenant, labels=labels, first=first)
    return dict(zip(found.tenants, found.by_metric["interactions"].counts.tolist(), strict=True))


def behind(change: str) -> None:
    """Change the counts without anybody's knowledge."""
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE monitoring_metricsnapshot SET count = count {change}")


def answered(tenants: tuple[str, ...] = ("acme", "bolt"), minutes: int = 5) -> Iterator[object]:
    for number, tenant in enumerate(tenants):
        for minute in range(minutes):
            for turn in range(number + 1):
                yield interaction(
                    turn, tenant, FIRST + minute, estimated_cost=0.01 * turn, model_used=("mini", "max")[turn % 2]
                )


def test_a_minute_is_read_once_until_another_batch_comes_for_it() -> None:
    send(*answered())
    roll_up(time.time())
    assert counts() == {"acme": 5, "bolt": 10}
    behind("+ 100")
    assert counts() == {"acme": 5, "bolt": 10}
    assert counts(first=FIRST + 1) == {"acme": 4, "bolt": 8}  # the window has moved on: its last minute is empty
    behind("- 100")
    send(interaction(7, "acme", FIRST + 2))
    assert counts() == {"acme": 5, "bolt": 10}
    roll_up(time.time())
    assert counts() == {"acme": 6, "bolt": 10}
    behind("+ 100")  # of all minutes but the one that came anew nothing else is read again
    send(interaction(8, "bolt", FIRST + 4))
    roll_up(time.time())
    assert counts() == {"acme": 6 + 100, "bolt": 11 + 100}


def test_a_minute_of_which_nobody_knows_what_it_was_made_of_is_read_each_time() -> None:
    send(*answered())
    roll_up(time.time())
    RollupBatch.objects.all().delete()
    assert counts() == {"acme": 5, "bolt": 10}
    behind("+ 100")
    assert counts() == {"acme": 505, "bolt": 510}


def test_late_records_that_come_while_it_is_read_are_in_all_of_it() -> None:
    send(*answered(("acme",)))
    roll_up(time.time())
    read("interactions")  # so one of the two is remembered, and the other is not
    came = False

    def late(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:  # noqa: FBT001 - Django calls it so
        nonlocal came
        answer = execute(sql, params, many, context)
        if "monitoring_rollupbatch" in sql and not came:
            came = True
            with ThreadPoolExecutor(1) as elsewhere:
                elsewhere.submit(more).result()
        return answer

    def more() -> None:
        try:
            send(*(interaction(20 + number, "acme", FIRST + 1, estimated_cost=1.0, model_used="max") for number in range(3)))
            roll_up(time.time())
        finally:
            connection.close()

    with connection.execute_wrapper(late):
        found = read("interactions", "conversations")
    assert found.by_metric["interactions"].counts.tolist() == [8]
    assert found.by_metric["conversations"].counts.tolist() == [8]


def test_what_one_metric_was_read_for_serves_no_other_tenant_and_no_other_label() -> None:
    send(*answered(), *(interaction(9, "acme", FIRST, estimated_cost=1.0, model_used="max") for _ in range(1)))
    roll_up(time.time())
    for _ in range(2):
        assert counts(tenant="acme") == {"acme": 6}
        assert counts(tenant="") == {"": 16}
        assert counts() == {"acme": 6, "bolt": 10}
        of_max = read("cost", labels={"model": "max"})
        assert dict(zip(of_max.tenants, (of_max.by_metric["cost"].sums / 1e9).tolist(), strict=True)) == pytest.approx(
            {"acme": 1.0, "bolt": 0.05}
        )
        assert read("cost", labels={"model": "no such"}).tenants == []


@pytest.mark.parametrize("tenant", [None, "", "bolt"])
def test_a_window_of_an_hour_that_postgres_merges_says_the_same(tenant: str | None) -> None:
    send(*answered(("acme", "bolt", *ODD), minutes=30))
    roll_up(time.time())
    send(*(interaction(number, "bolt", FIRST + 7, processing_time_ms=90_000.0) for number in range(3)))
    roll_up(time.time())
    short, whole = read(tenant=tenant, window=59), read(tenant=tenant, window=60)
    assert sorted(short.tenants) == sorted(whole.tenants)
    order = [short.tenants.index(one) for one in whole.tenants]
    for metric in METRICS:
        one, other = short.by_metric[metric], whole.by_metric[metric]
        assert one.present[order].tolist() == other.present.tolist(), metric
        for column in ("counts", "sums", "minima", "maxima"):
            assert getattr(one, column)[order].tolist() == pytest.approx(
                getattr(other, column).tolist(), rel=0, abs=0, nan_ok=True
            )
        assert one.lengths.sum() == other.lengths.sum() == len(one.data) == len(other.data)
    sizes = {"short": short, "whole": whole}
    found = {
        name: dict(
            zip(
                of.tenants,
                distinct.counts_by_group(
                    of.by_metric["conversations"].owners,
                    of.by_metric["conversations"].lengths,
                    of.by_metric["conversations"].data,
                    len(of.tenants),
                ).tolist(),
                strict=True,
            )
        )
        for name, of in sizes.items()
    }
    assert found["short"] == found["whole"]


def test_sums_are_exact_however_large() -> None:
    send(*(interaction(minute, "acme", FIRST + minute, estimated_cost=0.5) for minute in range(5)))
    roll_up(time.time())
    large = [2**53 + 1, 1, 2**53 + 1, 1, 5]  # each double that is added to takes something away
    with connection.cursor() as cursor:
        for minute, value in enumerate(large):
            cursor.execute(
                "UPDATE monitoring_metricsnapshot SET sum = %s WHERE sum IS NOT NULL AND ts = to_timestamp(%s * 60)",
                [value, FIRST + minute],
            )
    found = read("cost", tenant="acme").by_metric["cost"]
    assert found.sums.tolist() == [float(sum(large))]
    assert found.counts.tolist() == [5.0]


def test_tenants_have_one_number_whoever_asks() -> None:
    roll = Roll()
    names = [[f"tenant-{number}" for number in range(start, start + 3_000)] for start in range(0, 6_000, 500)]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(roll.numbers, names))
    assert sorted(roll.names) == sorted({name for own in names for name in own})
    for own, numbers in zip(names, found, strict=True):
        assert [roll.names[number] for number in numbers.tolist()] == own


def test_numbers_begin_anew_when_there_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    send(*answered(ODD))
    roll_up(time.time())
    before = counts()
    assert set(before) == set(ODD)
    monkeypatch.setattr(Roll, "MOST", 3)
    first = slices.roll()
    assert counts() == before
    assert slices.roll() is not first
