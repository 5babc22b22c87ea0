"""How far the machinery has come, and what it takes on disk."""

from __future__ import annotations

import json

import pytest
from django.utils import timezone

from apps.monitoring.core.resolution import Resolution
from apps.monitoring.models import AuditEntry, RetentionFloor, SeriesPurge
from apps.monitoring.rollup import partitions
from tests.e2e.parts import environment_of_tests, manage
from tests.integration.admin.pages import page, staff


@pytest.mark.django_db(transaction=True)
def test_the_retention_shows_what_each_partition_takes_also_to_who_may_only_look() -> None:
    now = timezone.now()
    partitions.ensure(Resolution.MINUTE, now)
    RetentionFloor.objects.create(resolution=1, ts=now, moved_at=now)
    clerk = staff("view_retentionfloor")
    shown = page(clerk, "retentionfloor/")
    assert partitions.bounds(Resolution.MINUTE, now)[0] in shown
    assert "35 days" in shown
    assert "monitoring_series" in shown
    assert "None was purged so far." in shown
    assert "Alerts are remembered for 365 days." in " ".join(shown.split())
    AuditEntry.objects.create(at=now, kind="rule", object_id=1, name="x", action="created")
    assert f"Edits are remembered for 1095 days, the oldest is of {now:%Y-%m-%d}." in page(clerk, "retentionfloor/")
    SeriesPurge.objects.create(purged=1_234, before=now.date(), purged_at=now)
    assert f"1234 without rows were purged, the last on {now:%Y-%m-%d}." in page(clerk, "retentionfloor/")


@pytest.mark.usefixtures("stores")
def test_the_status_says_what_is_stale_and_what_the_disk_holds() -> None:
    partitions.ensure(Resolution.MINUTE, timezone.now())
    found = json.loads(manage(environment_of_tests(), "monitoring_status", "--json").stdout)
    assert found["compaction"] == {"stale_hours": 0, "stale_days": 0}
    assert found["storage"]["minutes"]["bytes"] > 0
    assert found["storage"]["days"]["kept_days"] == 3_650
    assert found["history"]["alerts"] == {"kept_days": 365, "oldest": None}
    assert (found["storage"]["series"]["purged"], found["storage"]["series"]["purged_at"]) == (0, None)
    assert found["storage"]["series"]["bytes"] > 0
    tables = found["storage"]["tables"]
    assert {
        "monitoring_series",
        "monitoring_rollupbatch",
        "monitoring_compaction",
        "monitoring_alerttransition",
    } <= tables.keys()
    assert all(size > 0 for size in tables.values())
    assert not [name for name in tables if name.startswith("monitoring_metricsnapshot")]  # the partitions are told above
    assert "storage" in manage(environment_of_tests(), "monitoring_status").stdout
