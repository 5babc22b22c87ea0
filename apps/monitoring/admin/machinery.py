"""How far the machinery has come."""

from __future__ import annotations

from django.contrib import admin

from apps.monitoring.admin.readonly import ReadOnlyAdmin
from apps.monitoring.models import EvaluationProgress, RollupBatch, ShardProgress, TaskRun


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
