"""How the product itself does, and which alerts fire, as families of Prometheus."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from prometheus_client.metrics_core import GaugeMetricFamily

from apps.monitoring.alerts.firing import Firing
from apps.monitoring.core.prometheus import PREFIX, TENANT
from apps.monitoring.status import GLANCED, Status

Samples = Sequence[tuple[str, float]]
"""Values with that of the label, which is empty where there is none."""


@dataclass(frozen=True, slots=True)
class Gauge:
    """One thing to know of the product. ``samples`` reads it from a status and a moment; what is not known has none."""

    name: str
    help: str
    samples: Callable[[Status, datetime], Samples]
    label: str = ""


def _part(found: Status, name: str) -> Mapping[str, Any]:
    details: Mapping[str, Any] = found.details.get(name, {})
    return details


def _known(value: float | None) -> Samples:
    return [] if value is None else [("", float(value))]


def _epoch(moment: str | None) -> float | None:
    return None if moment is None else datetime.fromisoformat(moment).timestamp()


def _each(names: Sequence[str]) -> Samples:
    return [(name, 1.0) for name in names]


def _parts(found: Status) -> Samples:
    """Those that were seen: behind a database that does not answer nothing is."""
    seen = {*found.details, *found.failing, "database"} | ({"rules"} if "evaluation" in found.details else set())
    return [(part, float(part not in found.failing)) for part in GLANCED if part in seen]


def _waiting(found: Status, now: datetime) -> float | None:
    oldest = _epoch(_part(found, "notifications").get("oldest_pending"))
    return None if oldest is None else now.timestamp() - oldest


def _unsettled(found: Status) -> Samples:
    details = _part(found, "notifications")
    return [(status, float(details[status])) for status in ("pending", "dead") if status in details]


def _successes(found: Status) -> Samples:
    ran = {name: _epoch(run["succeeded_at"]) for name, run in _part(found, "tasks").items()}
    return [(name, moment) for name, moment in ran.items() if moment is not None]


GAUGES: Final = (
    Gauge("healthy", "1 while nothing is wrong with any of the parts.", lambda found, _: _known(float(found.healthy))),
    Gauge("part_healthy", "1 while nothing is wrong with the part.", lambda found, _: _parts(found), "part"),
    Gauge(
        "complete_until_timestamp_seconds",
        "The first minute that is not complete: what is counted since midnight was recorded before it.",
        lambda found, _: _known(_epoch(_part(found, "rollup").get("complete_until"))),
    ),
    Gauge(
        "rollup_lag_seconds",
        "How long ago the last complete minute ended.",
        lambda found, _: _known(_part(found, "rollup").get("lag_seconds")),
    ),
    Gauge(
        "evaluation_lag_seconds",
        "How long ago the first minute began that the rules have not judged.",
        lambda found, _: _known(_part(found, "evaluation").get("lag_seconds")),
    ),
    Gauge(
        "hot_store_batches",
        "Minutes of shards that are open or sealed in the hot store, and not in the snapshots yet.",
        lambda found, _: _known(_part(found, "hot_store").get("batches")),
    ),
    Gauge(
        "notifications", "Notifications that wait, and those that were given up.", lambda found, _: _unsettled(found), "status"
    ),
    Gauge(
        "oldest_pending_notification_age_seconds",
        "How long the notification that waits longest has been waiting.",
        lambda found, now: _known(_waiting(found, now)),
    ),
    Gauge(
        "channel_failing",
        "1 for each channel that fails.",
        lambda found, _: _each(_part(found, "notifications").get("failing_channels", ())),
        "channel",
    ),
    Gauge(
        "rule_in_error",
        "1 for each rule that cannot be judged.",
        lambda found, _: _each(_part(found, "evaluation").get("rules_in_error", ())),
        "rule",
    ),
    Gauge(
        "task_last_success_timestamp_seconds",
        "When the periodic task last succeeded.",
        lambda found, _: _successes(found),
        "task",
    ),
)
"""What a token of all tenants is told besides."""
FIRING: Final = f"{PREFIX}alerts_firing"
FIRING_HELP: Final = "For how many tenants the rule fires; all together are one."


def families(found: Status, now: datetime) -> Iterator[GaugeMetricFamily]:
    """Those that have a sample."""
    for gauge in GAUGES:
        samples = gauge.samples(found, now)
        if samples:
            family = GaugeMetricFamily(PREFIX + gauge.name, gauge.help, labels=[gauge.label] if gauge.label else [])
            for value, sample in samples:
                family.add_metric([value] if gauge.label else [], sample)
            yield family


def firing(alerts: Sequence[Firing], *, named: bool) -> Iterator[GaugeMetricFamily]:
    """The alerts that fire, if any, each with the label of its tenant when tenants are ``named``."""
    if not alerts:
        return
    family = GaugeMetricFamily(FIRING, FIRING_HELP, labels=["rule", "severity", *([TENANT] if named else [])])
    for one in alerts:
        family.add_metric([one.rule, one.severity, *([one.tenant or ""] if named else [])], one.tenants)
    yield family
