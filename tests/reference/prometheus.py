"""The tables of docs/prometheus.md, out of the code.

`python -m tests.reference.prometheus` writes them into the page.
"""

from __future__ import annotations

from typing import Final

import django

from apps.monitoring.catalogue import METRICS, Kind, user_metric
from apps.monitoring.core import prometheus
from tests.reference.metrics import PAGE as METRICS_PAGE
from tests.reference.metrics import codes, table, with_tables

PAGE: Final = METRICS_PAGE.with_name("prometheus.md")


def bounds() -> str:
    """What the histograms count under."""
    histograms = [metric for metric in METRICS.values() if metric.kind is Kind.HISTOGRAM]
    units = {metric.unit: metric for metric in histograms}
    rows = [
        (
            codes(prometheus.family(metric).name for metric in histograms if metric.unit == unit),
            " ".join(f"{bound:g}" for bound in prometheus.unit_of(one).bounds),
        )
        for unit, one in units.items()
    ]
    any_unit = user_metric("x", Kind.HISTOGRAM)
    rows.append(("`agentmon_user_…`", " ".join(f"{bound:.10g}" for bound in prometheus.unit_of(any_unit).bounds)))
    return table(("histogram", "bounds (`le`)"), rows)


def machinery() -> str:
    """What is said of the product itself."""
    from apps.monitoring.api.exposition.machinery import FIRING, FIRING_HELP, GAUGES

    rows = [(f"`{prometheus.PREFIX}{one.name}`", codes([one.label] if one.label else ()), one.help) for one in GAUGES]
    rows.append((f"`{FIRING}`", codes(["rule", "severity"]), FIRING_HELP))
    return table(("gauge", "labels", "meaning"), rows)


def page(text: str) -> str:
    """The page with its tables written anew."""
    return with_tables(text, {"bounds": bounds(), "machinery": machinery()})


if __name__ == "__main__":
    django.setup()
    PAGE.write_text(page(PAGE.read_text()))
