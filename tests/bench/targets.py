"""What is claimed of the figures. `make bench` says of each whether this run bears it out, and fails when one does not."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Row = dict[str, Any]


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
        met = found >= self.limit if self.at_least else found <= self.limit
        bound = f"{'≥' if self.at_least else '≤'} {self.limit:g}"
        return {"claim": self.claim, "measured": round(found, 3), "target": bound, "met": "yes" if met else "NO"}


def cell(column: str, what: str) -> Callable[[list[Row]], float]:
    """The column of the row whose first cell begins with a text."""

    def figure(rows: list[Row]) -> float:
        return float(next(row[column] for row in rows if str(next(iter(row.values()))).startswith(what)))

    return figure


OURS = "AgentMonitor"

TARGETS: Mapping[str, tuple[Target, ...]] = {
    "recording": (
        Target("a call on the caller's thread, to prometheus_client", cell("caller_ratio", OURS), 0.15),
        Target("the whole process for a call, to prometheus_client", cell("process_ratio", OURS), 1.0),
    ),
    "threads": (Target("p99 of a call under 8 threads, to its median", cell("p99_over_median", OURS), 20),),
}


def verdicts(results: Mapping[str, list[Row]]) -> list[Row]:
    """Every target of the benchmarks that were run."""
    return [target.verdict(rows) for name, rows in results.items() for target in TARGETS.get(name, ())]
