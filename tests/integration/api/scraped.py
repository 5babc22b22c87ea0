"""Minutes that are complete, and what a scrape says of them, read back by the library's own parsers."""

from __future__ import annotations

from typing import Any

from django.test import Client
from django.utils import timezone
from prometheus_client import Metric, parser
from prometheus_client.openmetrics import parser as openmetrics

from apps.monitoring.api.exposition import machinery
from apps.monitoring.core.clock import to_datetime, to_minute
from apps.monitoring.core.resolution import Resolution
from apps.monitoring.models import ShardProgress
from apps.monitoring.query import cache
from tests.integration.ingest.hot import interaction
from tests.integration.rollup.stored import roll_up, send

DAY = Resolution.DAY.value
MIDNIGHT = Resolution.DAY.floor(to_minute(timezone.now())) - DAY
"""Of yesterday: the day that begins with it is over."""
INTERACTIONS = "agentmon_interactions_total"
METRICS = "/metrics"
PLAIN = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS = "application/openmetrics-text;version=1.0.0"

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def complete(until: int) -> None:
    """Every minute before is rolled up, and none after."""
    roll_up(until * 60.0 + 6)
    assert set(ShardProgress.objects.values_list("complete_until", flat=True)) == {to_datetime(until)}


def say(minute: int, number: int = 1, tenant: str = "airline", **more: Any) -> None:
    send(*[interaction(n, tenant, minute, **more) for n in range(number)])


def text(client: Client, tenants: tuple[str, ...] = (), accept: str = "") -> str:
    cache._flights.clear()  # nobody is given the answer of a second ago
    answer = client.get(METRICS, {"tenant": tenants} if tenants else {}, headers={"accept": accept} if accept else {})
    assert answer.status_code == 200, answer.content
    return str(answer.content.decode())


def families(said: str) -> list[Metric]:
    """The families of a text, whichever format it is in."""
    parse: Any = openmetrics if said.endswith("# EOF\n") else parser
    return list(parse.text_string_to_metric_families(said))


def read(said: str) -> Samples:
    found: Samples = {}
    for family in families(said):
        for sample in family.samples:
            place = sample.name, tuple(sorted(sample.labels.items()))
            assert place not in found, f"{place} is there twice"
            found[place] = float(sample.value)
    return found


def scrape(client: Client, *tenants: str, accept: str = "") -> Samples:
    return read(text(client, tenants, accept))


def recorded(samples: Samples) -> Samples:
    """Without what is said of the machinery and of alerts."""
    gauges = {f"agentmon_{gauge.name}" for gauge in machinery.GAUGES} | {machinery.FIRING}
    return {place: value for place, value in samples.items() if place[0] not in gauges}


def value(samples: Samples, name: str, **labels: str) -> float | None:
    return samples.get((name, tuple(sorted(labels.items()))))
