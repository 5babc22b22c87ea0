"""A real Prometheus scrapes the product: through a day's midnight it counts everything once.

It is left out where there is none to be had: `make test` fetches Debian's package.
"""

from __future__ import annotations

import random
import re
import subprocess
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from pytest_django.live_server_helper import LiveServer

from apps.monitoring.catalogue import Kind
from apps.monitoring.models import ApiToken
from tests.bench.prometheus import Prometheus, find
from tests.integration.api.conftest import bearer
from tests.integration.api.scraped import DAY, INTERACTIONS, MIDNIGHT, OPENMETRICS, complete, say, text
from tests.integration.rollup.stored import send
from tests.patience import eventually
from tests.reference.prometheus import PAGE
from tests.sessions import at_rest
from tests.unit.ingest.made import event

pytestmark = pytest.mark.skipif(find() is None, reason="there is no Prometheus, and no apt-get to fetch one")

UNTIL = "agentmon_complete_until_timestamp_seconds"
SCRAPED = {
    "job_name": "agents",
    "scrape_interval": "1s",
    "scrape_timeout": "1s",
}


@pytest.fixture
def prometheus(stores: None, live_server: LiveServer, tmp_path: Path) -> Iterator[Prometheus]:
    _, secret = ApiToken.issue("prometheus")
    target = live_server.url.removeprefix("http://")
    scraped = {**SCRAPED, "authorization": {"credentials": secret}, "static_configs": [{"targets": [target]}]}
    program = find()
    assert program
    server = Prometheus(program, tmp_path, 60, [scraped])
    yield server
    server.stop()
    eventually("the last scrape is answered", at_rest)


def counted(prometheus: Prometheus, selector: str) -> float:
    """What `increase()` adds up before it extrapolates: of each series each step, and after a fall the whole of it."""
    total = 0.0
    for series in prometheus.query(f"{selector}[10m]"):
        steps = pairwise(float(value) for _, value in series["values"])
        total += sum(now - before if now >= before else now for before, now in steps)
    return total


def only(found: list[dict[str, Any]]) -> float:
    (one,) = found
    return float(one["value"][1])


def scraped_until(prometheus: Prometheus, minute: int) -> None:
    eventually(
        f"the scrape of {minute - MIDNIGHT} minutes after midnight",
        lambda: [float(one["value"][1]) for one in prometheus.query(UNTIL)] == [minute * 60],
        explain=lambda: str(prometheus.query("up")),
    )


def test_a_days_midnight_is_a_reset_and_nothing_is_counted_twice_or_lost(prometheus: Prometheus) -> None:
    chance, sent = random.Random(3), 0
    refunds = {MIDNIGHT - 4: 1, MIDNIGHT - 3: 1, MIDNIGHT: 5, MIDNIGHT + 3: 1}
    """Seldom: more of them in the first minute of a day than in the whole day before."""
    for minute in range(MIDNIGHT - 4, MIDNIGHT + 5):
        number = chance.randrange(3, 40)
        say(minute, number, intent="chat")
        say(minute, refunds.get(minute, 0), intent="refund")
        if minute > MIDNIGHT - 4:  # what the first scrape finds is where it begins
            sent += number + refunds.get(minute, 0)
        complete(minute + 1)
        scraped_until(prometheus, minute + 1)
    assert counted(prometheus, INTERACTIONS) == sent
    assert counted(prometheus, "agentmon_response_time_seconds_count") == sent
    assert counted(prometheus, 'agentmon_intents_total{intent="refund"}') == 7
    assert only(prometheus.query(f"resets({INTERACTIONS}[10m])")) == 1
    # It extrapolates to the ends of the range by half a step.
    assert only(prometheus.query(f"increase({INTERACTIONS}[10m])")) == pytest.approx(sent, rel=0.2)
    assert only(prometheus.query("min_over_time(up[10m])")) == 1
    quantile = "histogram_quantile(0.95, sum by (le) (increase(agentmon_response_time_seconds_bucket[10m])))"
    assert only(prometheus.query(quantile)) == pytest.approx(1.95, rel=0.05)


@pytest.mark.usefixtures("stores")
def test_promtool_finds_nothing_wrong_with_it() -> None:
    minute = (MIDNIGHT + DAY // 2) * 60.0
    say(MIDNIGHT + DAY // 2, 3, intent='q"\n\\', estimated_cost=0.5, confidence_score=0.5, handoff_triggered=True)
    for kind in (
        "llm_api_call",
        "context_building",
        "handoff_decision",
        "knowledge_search",
        "error",
        "feedback",
        "user_metric",
    ):
        send(event(kind, minute, "airline"))
    send(event("user_metric", minute, "airline", labels={}))  # beside one with a label
    for name in ("a.b", "a_b", "a_b_total"):
        for one in (Kind.COUNTER, Kind.HISTOGRAM):
            send(event("user_metric", minute, "airline", name=name, kind=one, value=2, labels={}))
    complete(MIDNIGHT + DAY // 2 + 1)
    promtool = find("promtool")
    assert promtool
    for tenants in ((), ("airline",)):
        said = text(bearer(), tenants)
        done = subprocess.run([promtool, "check", "metrics"], input=said, capture_output=True, text=True, check=False)
        complaints = [line for line in (done.stdout + done.stderr).splitlines() if not line.startswith("agentmon_user_")]
        assert complaints == []
    assert text(bearer(), accept=OPENMETRICS).endswith("# EOF\n")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(), re.DOTALL)


def test_prometheus_takes_what_the_page_says(prometheus: Prometheus, tmp_path: Path) -> None:
    queries = [line for block in blocks("promql") for line in block.splitlines() if line and not line.startswith("#")]
    assert len(queries) > 5
    for query in queries:
        prometheus.query(query)
    promtool = find("promtool")
    assert promtool
    for content, check in zip(blocks("yaml"), (["config", "--syntax-only"], ["rules"]), strict=True):
        (tmp_path / "page.yml").write_text(content)
        done = subprocess.run([promtool, "check", *check, tmp_path / "page.yml"], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
