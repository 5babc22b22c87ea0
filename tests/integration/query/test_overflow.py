"""Labels of a user's metric that are over the cap, for those who read by label."""

from __future__ import annotations

from typing import Any

import pytest

from apps.monitoring.catalogue import Kind
from apps.monitoring.core.clock import to_datetime
from apps.monitoring.core.series import labels_dict
from apps.monitoring.models import Alert, AlertRule, Series
from apps.monitoring.query.series import Question, Range, series
from tests.integration.alerts.judged import play, rule
from tests.integration.ingest.hot import MINUTE
from tests.unit.ingest.made import event

pytestmark = pytest.mark.usefixtures("stores")

MANY = 150


def by_shop() -> dict[str, float]:
    over = Range.covering(to_datetime(MINUTE), to_datetime(MINUTE + 1), 1)
    found: Any = series("acme", Question("user.carts", "count", "shop"), over)
    return {line["labels"]["shop"]: line["values"][0] for line in found["series"]}


def test_a_rule_and_a_chart_read_what_is_over_the_cap_as_other() -> None:
    rule("one-shop", metric="user.carts", statistic="count", threshold=0, label_filter={"shop": "x1"})
    carts = [
        event("user_metric", name="carts", kind=Kind.COUNTER, value=1, labels={"shop": f"x{n}"}, when=MINUTE * 60.0)
        for n in range(MANY)
    ]
    play({0: carts}, 1)
    assert AlertRule.objects.get().error == ""
    assert Alert.objects.get().value == 1
    labels = [
        labels_dict(text) for text in Series.objects.filter(tenant="acme", metric="user.carts").values_list("labels", flat=True)
    ]
    assert {"otel.metric.overflow": "true"} in labels
    shops = by_shop()
    assert shops["other"] == MANY - len(shops) + 1
