"""The tables of docs/metrics.md, out of the catalogue.

`python -m tests.reference.metrics` writes them into the page.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from apps.monitoring.catalogue import METRICS, RATIOS, Kind
from apps.monitoring.core import prometheus
from apps.monitoring.core.soundness import budgeted, statistics_of

PAGE: Final = Path(__file__).resolve().parents[2] / "docs" / "metrics.md"
MARK: Final = "<!-- {}, written by make docs -->"
END: Final = "<!-- end -->"

HOLDS: Final = {
    Kind.COUNTER: "how often",
    Kind.AMOUNT: "how much: values and their sum",
    Kind.HISTOGRAM: "a distribution of values",
    Kind.DISTINCT: "how many different ones",
}


def kinds() -> str:
    """What a rule may make of a metric."""
    rows = [(f"`{kind}`", HOLDS[kind], codes(statistics_of(kind)), codes(budgeted(kind))) for kind in Kind]
    rows.append(("ratio", "two metrics, one over the other", "`ratio`", "–"))
    return table(("kind", "what it holds", "statistics", "those that a budget may have"), rows)


def metrics() -> str:
    """What is recorded."""
    rows = [
        (f"`{m.name}`", m.kind, m.unit, codes(m.labels), m.meaning, codes(family.shown for family in prometheus.families(m)))
        for m in METRICS.values()
    ]
    return table(("metric", "kind", "unit", "labels", "meaning", "to Prometheus"), rows)


def ratios() -> str:
    """What is computed when it is read."""
    rows = [(f"`{r.name}`", r.unit, f"`{r.samples}`", r.meaning) for r in RATIOS.values()]
    return table(("ratio", "unit", "its samples", "meaning"), rows)


def page(text: str) -> str:
    """The page with its tables written anew."""
    return with_tables(text, {"kinds": kinds(), "metrics": metrics(), "ratios": ratios()})


def with_tables(text: str, tables: Mapping[str, str]) -> str:
    """A page with tables between its marks."""
    for name, rows in tables.items():
        begin = MARK.format(name)
        before, _, rest = text.partition(begin)
        _, end, after = rest.partition(END)
        assert end, f"the page has lost the marks between which the table of {name} goes"
        text = f"{before}{begin}\n\n{rows}\n\n{end}{after}"
    return text


def codes(words: Iterable[str]) -> str:
    """As code, one beside the other."""
    return " ".join(f"`{word}`" for word in words) or "–"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """In Markdown."""
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows))


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text()))
