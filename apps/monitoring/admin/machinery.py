"""How far the machinery has come."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from apps.monitoring.admin.readonly import ReadOnlyAdmin
from apps.monitoring.alerts import history
from apps.monitoring.models import EvaluationProgress, RetentionFloor, RollupBatch, ShardProgress, TaskRun
from apps.monitoring.rollup import disk


@admin.register(RollupBatch)
class RollupBatchAdmin(ReadOnlyAdmin):
    """Which batches are in the snapshots."""

    list_display = ("minute", "shard", "rows", "late", "committed_at")
    list_filter = ("late", "shard")
    ordering = ("-committed_at",)


@admin.register(ShardProgress)
class ShardProgressAdmin(ReadOnlyAdmin):
    """The watermarks."""

    list_display = ("shard", "complete_until", "ticked_at")


@admin.register(EvaluationProgress)
class EvaluationProgressAdmin(ReadOnlyAdmin):
    """How far the rules have judged."""

    list_display = ("next_minute", "ran_at")


@admin.register(TaskRun)
class TaskRunAdmin(ReadOnlyAdmin):
    """The last run of each periodic task."""

    list_display = ("name", "started_at", "succeeded_at", "failures", "error")


@admin.register(RetentionFloor)
class RetentionFloorAdmin(ReadOnlyAdmin):
    """What has been dropped, and what all of it takes on disk."""

    list_display = ("resolution", "ts", "moved_at")

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """The floors, with the size of every partition, of the series and of every other table below them on the page."""
        sizes = {
            "usage": disk.usage(timezone.now()),
            "series": disk.series(),
            "history": history.remembered(),
            "tables": disk.tables(),
        }
        return super().changelist_view(request, {**(extra_context or {}), **sizes})
