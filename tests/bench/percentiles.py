"""How far percentiles are off: ours and those of classic Prometheus buckets, of the same values.

`python -m tests.bench.percentiles` writes the table and the chart of docs/percentiles.md anew.
"""

from __future__ import annotations

import json
import math
import random
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from html import escape
from itertools import accumulate
from pathlib import Path
from typing import Any, Final

from apps.monitoring.core import histogram
from apps.monitoring.replay import recording

ROOT: Final = Path(__file__).resolve().parents[2]
RECORDED: Final = ROOT.parent / "shared" / "data"
PAGE: Final = ROOT / "docs" / "percentiles.md"
CHART: Final = ROOT / "docs" / "percentiles.svg"
BEGIN: Final = "<!-- written by python -m tests.bench.percentiles -->"
END: Final = "<!-- end -->"

QUANTILES: Final = (0.5, 0.95, 0.99)
CLIENT_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
"""Seconds; what a histogram of prometheus_client has when nothing is said."""
GENAI_BUCKETS: Final = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
"""Seconds; https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-metrics/#metric-gen_aiclientoperationduration."""

Seconds = Sequence[float]
SYSTEMS: Final = ("ours", "default buckets", "GenAI buckets")


def nearest_rank(values: Seconds, q: float) -> float:
    """The exact answer: the smallest value that at least a share of ``q`` of them does not exceed."""
    return sorted(values)[max(1, math.ceil(Fraction(str(q)) * len(values))) - 1]


def ours(values: Seconds, q: float) -> float:
    """What a summary says: microseconds, in the product's own histogram."""
    stored = [round(value * 1e6) for value in values]
    buckets: histogram.Buckets = {}
    for value in stored:
        histogram.merge(buckets, {histogram.bucket_of(value): 1})
    found = histogram.quantile(buckets, q, min(stored), max(stored))
    assert found is not None
    return found / 1e6


def histogram_quantile(values: Seconds, bounds: Seconds, q: float) -> float:
    """What PromQL's histogram_quantile says of a classic histogram with these upper bounds, and +Inf.

    https://github.com/prometheus/prometheus/blob/main/promql/quantile.go, BucketQuantile: linear between the bounds of the
    bucket that holds the rank, the first of which begins at 0; beyond the last bound, the last bound.
    """
    counts = [0] * (len(bounds) + 1)
    for value in values:
        counts[bisect_left(bounds, value)] += 1
    until = list(accumulate(counts))
    rank = q * until[-1]
    bucket = next(number for number, count in enumerate(until) if count >= rank)
    if bucket == len(bounds):
        return bounds[-1]
    start, before = (bounds[bucket - 1], until[bucket - 1]) if bucket else (0.0, 0)
    return start + (bounds[bucket] - start) * (rank - before) / counts[bucket]


def recorded() -> Iterator[tuple[str, Seconds]]:
    """The durations of the recorded data, in seconds. Raises RecordingError where it is not beside the checkout."""
    answers: dict[str, list[float]] = {}
    calls: list[float] = []
    for line in recording.read(RECORDED / "tau2" / "interactions.jsonl.gz"):
        assert isinstance(line, recording.Line)
        calls += [call["duration_ms"] / 1e3 for call in line.row["llm_calls"] if call.get("duration_ms")]
        if line.row.get("processing_time_ms") is not None:
            for name in ("all tenants", line.tenant):
                answers.setdefault(name, []).append(line.row["processing_time_ms"] / 1e3)
    for name in sorted(answers):
        yield f"recorded answers, {name}", answers[name]
    yield "recorded model calls, same runs", calls
    files = sorted((RECORDED / "llmperf" / "individual").glob("*.json"))
    rows = [row for file in files for row in json.loads(file.read_text())]
    yield "recorded model calls, LLMPerf", [row["end_to_end_latency_s"] for row in rows if row["error_code"] is None]


def made() -> Iterator[tuple[str, Seconds]]:
    """Distributions that are hard on buckets, in seconds; the same in every run."""
    chance = random.Random(2026)
    yield "one narrow peak at 2.6 s", [chance.gauss(2.6, 0.02) for _ in range(10_000)]
    yield (
        "94 % from a cache, 6 % of 6 s",
        [chance.gauss(0.04, 0.004) if chance.random() < 0.94 else chance.gauss(6, 0.3) for _ in range(10_000)],
    )
    yield "log-normal, median 1.5 s", [chance.lognormvariate(math.log(1.5), 0.6) for _ in range(10_000)]
    yield "log-normal, median 15 s", [chance.lognormvariate(math.log(15), 0.8) for _ in range(10_000)]
    yield "heavy tail (Pareto 1.2)", [0.2 * chance.paretovariate(1.2) for _ in range(10_000)]


def rows(of: Mapping[str, Seconds]) -> list[dict[str, Any]]:
    """One row for each distribution and quantile: the exact answer in seconds, and each answer's error in per cent."""
    found: list[dict[str, Any]] = []
    for name, values in of.items():
        for q in QUANTILES:
            exact = nearest_rank(values, q)
            answers = (
                ours(values, q),
                histogram_quantile(values, CLIENT_BUCKETS, q),
                histogram_quantile(values, GENAI_BUCKETS, q),
            )
            off = {system: round(100 * (answer - exact) / exact, 2) for system, answer in zip(SYSTEMS, answers, strict=True)}
            found.append(
                {"values": name, "count": len(values), "quantile": f"p{round(100 * q)}", "exact_s": round(exact, 3), **off}
            )
    return found


def measure() -> list[dict[str, Any]]:
    """The rows of what is recorded, where it is, and of what is made."""
    return rows(dict([*(recorded() if RECORDED.exists() else ()), *made()]))


def table(of: Sequence[Mapping[str, Any]]) -> str:
    """The rows as Markdown, one line a distribution."""
    names = list(dict.fromkeys(row["values"] for row in of))
    spans = "".join(f" {system} p50 | p95 | p99 |" for system in SYSTEMS)
    lines = [f"| values | count |{spans}", "| --- | --- |" + " --- |" * (len(SYSTEMS) * len(QUANTILES))]
    for name in names:
        own = [row for row in of if row["values"] == name]
        cells = [f"{row[system]:+.2f}" if system == "ours" else f"{row[system]:+.0f}" for system in SYSTEMS for row in own]
        lines.append(f"| {name} | {own[0]['count']:,} | " + " | ".join(cells) + " |")
    worst = [f"**{max(abs(row[system]) for row in of):.{2 if system == 'ours' else 0}f}**" for system in SYSTEMS]
    lines.append("| **largest error, %** | | " + " | ".join(f"{cell} | | " for cell in worst).rstrip() + " |")
    return "\n".join(lines)


def chart(of: Sequence[Mapping[str, Any]]) -> str:
    """The errors without their sign on a logarithmic scale from 0.01 % to 1,000 %, as SVG."""
    names = list(dict.fromkeys(row["values"] for row in of))
    left, top, decade, line = 230, 50, 100, 26
    width, height = left + 5 * decade + 30, top + line * len(names) + 40

    def x(per_cent: float) -> float:
        return left + decade * (math.log10(min(max(per_cent, 0.01), 1_000)) + 2)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif" font-size="12">',
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
        f'<rect x="{left}" y="{top - 12}" width="{x(1) - left:.0f}" height="{line * len(names)}" fill="#e8f5e9"/>',
    ]
    for power in range(-2, 4):
        at, label = x(10**power), f"{10**power:,g} %"
        parts += [
            f'<path d="M{at:.0f} {top - 12}v{line * len(names)}" stroke="#ddd"/>',
            f'<text x="{at:.0f}" y="{height - 24}" text-anchor="middle" fill="#555">{label}</text>',
        ]
    colours = dict(zip(SYSTEMS, ("#1b7f3b", "#c62828", "#ef8e19"), strict=True))
    for number, system in enumerate(SYSTEMS):
        at = left + 170 * number
        parts += [
            f'<circle cx="{at}" cy="20" r="5" fill="{colours[system]}"/>',
            f'<text x="{at + 10}" y="24" fill="#222">{escape(system)}</text>',
        ]
    for number, name in enumerate(names):
        y = top + line * number
        parts.append(f'<text x="{left - 10}" y="{y + 4}" text-anchor="end" fill="#222">{escape(name)}</text>')
        parts += [
            f'<circle cx="{x(abs(row[system])):.1f}" cy="{y}" r="4.5" fill="{colours[system]}" fill-opacity="0.75">'
            f"<title>{row['quantile']}: {row[system]:+.2f} %</title></circle>"
            for row in of
            if row["values"] == name
            for system in reversed(SYSTEMS)
        ]
    parts.append(
        f'<text x="{left}" y="{height - 6}" fill="#555">error of p50, p95 and p99 against the nearest rank; green: within 1 %</text>'
    )
    return "\n".join([*parts, "</svg>", ""])


def page(text: str, of: Sequence[Mapping[str, Any]]) -> str:
    """The page with its table written anew."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    assert end, f"{PAGE} has lost the marks between which its table goes"
    return f"{before}{begin}\n\n{table(of)}\n\n{end}{after}"


def main() -> None:
    found = rows(dict([*recorded(), *made()]))
    PAGE.write_text(page(PAGE.read_text(), found))
    CHART.write_text(chart(found))
    print(table(found))


if __name__ == "__main__":
    main()
