"""What is claimed of the figures. `make bench` says of each whether this run bears it out, and fails when one does not."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Row = dict[str, Any]

NOTHING = "-"
"""Stands in a row where nothing was measured."""


@dataclass(frozen=True, slots=True)
class Target:
    """A figure of a benchmark's rows, and the most that it may be, or with ``at_least`` the least."""

    claim: str
    figure: Callable[[list[Row]], float]
    limit: float
    at_least: bool = False

    def verdict(self, rows: list[Row]) -> Row:
        """One row of the table of targets."""
        found = self.figure(rows)
        bound = f"{'≥' if self.at_least else '≤'} {self.limit:g}"
        if math.isnan(found):
            return {"claim": self.claim, "measured": "-", "target": bound, "met": "not measured"}
        met = found >= self.limit if self.at_least else found <= self.limit
        return {"claim": self.claim, "measured": round(found, 3), "target": bound, "met": "yes" if met else "NO"}


def cell(column: str, what: str) -> Callable[[list[Row]], float]:
    """The column of the row whose first cell begins with a text; NaN where a peer was not to be had."""

    def figure(rows: list[Row]) -> float:
        found = next(row[column] for row in rows if str(next(iter(row.values()))).startswith(what))
        return math.nan if found == NOTHING else float(found)

    return figure


def most(column: str, *whats: str) -> Callable[[list[Row]], float]:
    """The largest of a column, or of some of its rows."""
    return lambda rows: max(cell(column, what)(rows) for what in whats) if whats else max(float(row[column]) for row in rows)


def of(column: str, row: int = 0) -> Callable[[list[Row]], float]:
    """The column of a row."""
    return lambda rows: float(rows[row][column])


OURS = "AgentMonitor"
USUAL = ("first after a start", "2 % begin to fire", "nothing changes")
HUNDRED_THOUSAND = 2
"""The row of so many series."""

TARGETS: Mapping[str, tuple[Target, ...]] = {
    "recording": (
        Target("a call on the caller's thread, to prometheus_client", cell("caller_ratio", OURS), 0.15),
        Target("the whole process for a call, to prometheus_client", cell("process_ratio", OURS), 1.0),
    ),
    "outage": (Target("memory of an hour without the hot store, MB", cell("memory_mb", "60 min"), 300),),
    "threads": (Target("p99 of a call under 8 threads, to its median", cell("p99_over_median", OURS), 20),),
    "evaluation": (
        Target(
            "a minute of nine rules x 2,000 tenants, to Prometheus",
            most("ratio", *(f"2000 tenants, {case}" for case in USUAL)),
            0.4,
        ),
        Target(
            "a minute of nine rules x 10,000 tenants, seconds",
            most("seconds", *(f"10000 tenants, {case}" for case in USUAL)),
            2,
        ),
        Target(
            "a tenant among 10,000, to one among 2,000",
            lambda rows: (
                cell("us_a_tenant", f"10000 tenants, {USUAL[-1]}")(rows)
                / cell("us_a_tenant", f"2000 tenants, {USUAL[-1]}")(rows)
            ),
            1.5,
        ),
    ),
    "rollup": (
        Target("a minute of 100,000 series by one process, s", of("roll_up_s", HUNDRED_THOUSAND), 5),
        Target(
            "its rows a second by two processes on two cores, to a bare COPY by psycopg",
            of("two_copy_ratio", HUNDRED_THOUSAND),
            0.4,
            True,
        ),
        Target("two workers on two cores, to one on one", of("two_cores_ratio", HUNDRED_THOUSAND), 1.7, True),
        Target("hot store, bytes a series and minute, at most", most("hot_bytes_a_series"), 100),
    ),
    "storage": (Target("a snapshot row with its index, bytes", of("bytes_a_row"), 120),),
    "reading": (
        Target("p95 of the summary of 7 days, one tenant, ms", cell("p95_ms", "summary of 7 days"), 50),
        Target("p95 of the summary of 24 h, 10,000 tenants, ms", cell("p95_ms", "summary of 24 h"), 50),
        Target("p95 of the summary of 90 days, one tenant, ms", cell("p95_ms", "summary of 90 days"), 300),
        Target("p95 of the chart of 24 h, 10,000 tenants, ms", cell("p95_ms", "chart of 24 h"), 50),
        Target("p95 of the dashboard's points of 24 h, ms", cell("p95_ms", "dashboard's points"), 50),
        Target("p95 of a scrape by Prometheus, 10,000 tenants together, ms", cell("p95_ms", "scrape of 10000"), 50),
        Target("p95 of a scrape by Prometheus, one tenant, ms", cell("p95_ms", "scrape of one"), 50),
        Target("p95 of the chart of 7 days, one tenant, ms", cell("p95_ms", "chart of 7 days"), 50),
        Target("p95 of the chart of 90 days, one tenant, ms", cell("p95_ms", "chart of 90 days"), 300),
    ),
}


def verdicts(results: Mapping[str, list[Row]]) -> list[Row]:
    """Every target of the benchmarks that were run."""
    return [target.verdict(rows) for name, rows in results.items() for target in TARGETS.get(name, ())]
