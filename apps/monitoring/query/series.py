"""A statistic step by step: what charts draw."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypeVar

from apps.monitoring.catalogue import EACH, METRICS, RATIOS
from apps.monitoring.core import statistic
from apps.monitoring.core.cell import Cell
from apps.monitoring.core.clock import SECONDS, isoformat, minute_of
from apps.monitoring.core.resolution import Resolution
from apps.monitoring.core.rules import Operator, Rule, Scope, Statistic
from apps.monitoring.core.series import GLOBAL, SeriesKey
from apps.monitoring.core.soundness import problems
from apps.monitoring.core.summary import Reader
from apps.monitoring.ingest.hotstore import HotStore
from apps.monitoring.query import cache, source
from apps.monitoring.query.errors import QuestionError, RangeError, UnknownTenantError
from apps.monitoring.query.source import Steps
from apps.monitoring.query.steps import Making
from apps.monitoring.rollup import floors
from apps.monitoring.rollup.cells import Cells

STEPS: Final = tuple(step for step in range(1, Resolution.DAY + 1) if Resolution.DAY % step == 0)
"""Minutes that a step may have: those that divide a day."""
MAX_STEPS: Final = 11_000
"""As many points as Prometheus gives of a series at most."""
_COMFORTABLE: Final = 500
"""Points of a chart when nobody says how long a step is."""
_POINT_BYTES: Final = 100
_CELL_BYTES: Final = 400
_BUCKET_BYTES: Final = 100
"""What these take of the memory for what was read before."""

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Range:
    """Minutes ``[first, last)``, in steps of ``step`` minutes that both are multiples of."""

    first: int
    last: int
    step: int

    @classmethod
    def covering(cls, start: datetime, end: datetime, step: int | None) -> Range:
        """Whole steps that cover ``[start, end)``; without a step the finest that a chart has room for.

        Raises RangeError when the step divides no day, makes too many points, or is finer than what is still kept.
        """
        if step is None:
            minutes = (end - start).total_seconds() / SECONDS
            step = next((fine for fine in STEPS if minutes / fine <= _COMFORTABLE and not _too_fine(start, fine)), STEPS[-1])
        if step not in STEPS:
            msg = f"a step of {step} minutes does not divide a day: take one of {', '.join(map(str, STEPS))}"
            raise RangeError(msg)
        first = minute_of(start.timestamp()) // step * step
        last = -(-math.ceil(end.timestamp() / SECONDS) // step) * step
        if (last - first) // step > MAX_STEPS:
            msg = f"{(last - first) // step} points are too many: take a longer step"
            raise RangeError(msg)
        coarser = _too_fine(start, step)
        if coarser is not None:
            floor, least = coarser
            msg = f"before {isoformat(floor)} only rows of {least} minutes are kept: take a step that {least} divides"
            raise RangeError(msg)
        return cls(first, last, step)

    def starts(self) -> range:
        """The first minute of each step."""
        return range(self.first, self.last, self.step)


def _too_fine(start: datetime, step: int) -> tuple[int, int] | None:
    """Until which minute the rows that such steps need are dropped, and how long those are that are kept."""
    first = minute_of(start.timestamp()) // step * step
    for resolution, floor in sorted(floors.read().items()):
        if first < floor and resolution.coarser is not None and step % resolution.coarser:
            return floor, resolution.coarser.value
    return None


def steps(tenant: str | None, metrics: list[str], over: Range, making: Making[Answer]) -> Steps[Answer]:
    """What is made of the cells of some metrics of a tenant (None: all together) in each step that has any, live to the second.

    Raises HotStoreUnavailableError.
    """
    owner = GLOBAL if tenant is None else tenant
    return source.read_steps(owner, over.first, over.last, over.step, metrics, making, HotStore.from_conf())


def cells(metrics: list[str]) -> Making[Cells]:
    """The cells of each step, which nobody may change."""
    return Making(("cells", *metrics), lambda found: found, lambda found: sum(map(_weight, found.values())))


def _weight(cell: Cell) -> int:
    return _CELL_BYTES + _BUCKET_BYTES * len(cell.buckets) + sum(map(len, cell.sketches))


@dataclass(frozen=True, slots=True)
class Question:
    """One statistic of one metric or ratio, drawn as one line, or as one for each value of a label."""

    metric: str
    statistic: str
    group_by: str | None = None

    def __post_init__(self) -> None:
        """Raises QuestionError that says what there is instead."""
        rule = Rule(
            name="", metric=self.metric, statistic=self.statistic, operator=Operator.GT, threshold=0.0, scope=Scope.GLOBAL
        )
        if self.statistic not in set(Statistic) - {Statistic.FORECAST}:
            msg = f"there is no statistic {self.statistic!r}: {', '.join(sorted(set(Statistic) - {Statistic.FORECAST}))}"
            raise QuestionError(msg)
        wrong = problems(rule)
        for field in ("metric", "statistic"):
            if field in wrong:
                raise QuestionError(wrong[field])
        if self.group_by is not None and not statistic.has_label(self.metric, self.group_by):
            msg = f"{self.metric} has no label {self.group_by!r}"
            raise QuestionError(msg)


def series(tenant: str | None, question: Question, over: Range) -> dict[str, Any]:
    """The statistic in each step as users get it. A step that nothing was recorded in has a count of 0 and no other value.

    The step that is under way counts what has come so far. Raises UnknownTenantError, HotStoreUnavailableError, or
    django.db.DatabaseError.
    """
    if tenant is not None and "\0" in tenant:
        raise UnknownTenantError(tenant)  # Postgres refuses the character, so nothing can be stored under it
    known, complete_until, lines = _lines(tenant, question, over)
    if tenant is not None and not known:
        raise UnknownTenantError(tenant)
    ratio = RATIOS.get(question.metric)
    nothing = _value({}, question, over)
    return {
        "tenant": tenant,
        "metric": question.metric,
        "stat": question.statistic,
        "unit": _unit(question) if ratio is None else ratio.unit,
        "from": isoformat(over.first),
        "to": isoformat(over.last),
        "step_seconds": over.step * SECONDS,
        "complete_until": None if complete_until is None else isoformat(complete_until),
        "timestamps": [isoformat(start) for start in over.starts()],
        "series": [
            {
                "labels": {} if question.group_by is None else {question.group_by: name},
                "values": [values.get(start, nothing) for start in over.starts()],
            }
            for name, values in lines.items()
        ],
    }


Values = dict[int, float | None]


def _lines(tenant: str | None, question: Question, over: Range) -> tuple[bool, int | None, dict[str, Values]]:
    """Whether the tenant is known, until when all is complete, and the values of each line in the steps that have any."""
    metrics = statistic.metrics_of(question.metric)
    if question.group_by is None:
        single = steps(tenant, metrics, over, Making(question, lambda own: _value(own, question, over), lambda _: _POINT_BYTES))
        return single.known, single.complete_until, {"": single.answers}
    found = steps(tenant, metrics, over, cells(metrics))
    lines = {
        name: {start: _value(own, question, over) for start, own in line.items()}
        for name, line in statistic.by_label(found.answers, question.group_by).items()
    }
    return found.known, found.complete_until, lines


def _value(own: Mapping[SeriesKey, Cell], question: Question, over: Range) -> float | None:
    return statistic.value(own, question.metric, question.statistic, over.step * SECONDS)


def shared(tenant: str | None, question: Question, over: Range) -> dict[str, Any]:
    """The same for those who poll: a second old at most, and computed once for all who ask meanwhile. Not to be changed."""
    return cache.once(("series", tenant, question, over), lambda: series(tenant, question, over))


def _unit(question: Question) -> str:
    if question.statistic == Statistic.RATE:
        return "1/s"
    if question.statistic == Statistic.COUNT:
        return EACH
    metric = METRICS.get(question.metric)
    return "" if metric is None else metric.unit


def per_minute(tenant: str | None, start: datetime, end: datetime) -> list[dict[str, Any]]:
    """Interactions and p95 response time (ms) of every minute that has any, oldest first, live to the second.

    A minute without an answer has p95_ms None.
    """
    over = Range.covering(start, end, 1)
    found = steps(tenant, ["interactions", "response_time"], over, Making("point", _point, lambda _: 2 * _POINT_BYTES)).answers
    return [
        {"minute": isoformat(minute), "interactions": count, "p95_ms": p95}
        for minute, (count, p95) in sorted(found.items())
        if count
    ]


def _point(own: Cells) -> tuple[int, float | None]:
    read = Reader(own)
    return read.count("interactions"), read.quantile("response_time", 0.95)
