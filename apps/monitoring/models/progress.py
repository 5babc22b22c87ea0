"""How far each part of the machinery has come: the watermarks and the proof of what was counted."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now


class RollupBatch(models.Model):
    """A sealed batch of the hot store that is in the snapshots: its id is the proof, written with its rows."""

    id = models.UUIDField(primary_key=True)
    shard = models.SmallIntegerField()
    minute = models.DateTimeField(db_index=True)
    rows = models.PositiveIntegerField(help_text="Snapshot rows written or merged.")
    late = models.BooleanField(help_text="The minute had been declared complete before this batch came.")
    committed_at = models.DateTimeField(auto_now_add=True, db_index=True)

    class Meta:
        verbose_name_plural = "roll-up batches"

    def __str__(self) -> str:
        return f"shard {self.shard}, {self.minute:%Y-%m-%dT%H:%MZ}"


class ShardProgress(models.Model):
    """The watermark of one shard: every minute before ``complete_until`` is in the snapshots."""

    shard = models.SmallIntegerField(primary_key=True)
    complete_until = models.DateTimeField()
    ticked_at = models.DateTimeField(help_text="When this shard was last sealed and rolled up without error.")

    class Meta:
        verbose_name_plural = "shard progress"

    def __str__(self) -> str:
        return f"shard {self.shard} complete until {self.complete_until:%Y-%m-%dT%H:%MZ}"


class EvaluationProgress(models.Model):
    """The first minute that the rules have not judged yet; one row."""

    SINGLETON = 1

    id = models.SmallIntegerField(primary_key=True, default=SINGLETON)
    next_minute = models.DateTimeField()
    ran_at = models.DateTimeField()

    class Meta:
        verbose_name_plural = "evaluation progress"
        constraints = [models.CheckConstraint(condition=models.Q(id=1), name="monitoring_one_evaluation_progress")]

    def __str__(self) -> str:
        return f"next {self.next_minute:%Y-%m-%dT%H:%MZ}"


class Judging(models.Model):
    """When the minutes ``[start, until)`` were judged: by the rules, channels, silences and mute windows of that moment."""

    start = models.DateTimeField(primary_key=True)
    until = models.DateTimeField()
    at = models.DateTimeField(db_default=Now(), help_text="When the rules were read, by the clock of the database.")

    def __str__(self) -> str:
        return f"from {self.start:%Y-%m-%dT%H:%MZ} at {self.at:%Y-%m-%dT%H:%M:%SZ}"


class TaskRun(models.Model):
    """The last run of one periodic task: what `monitoring_status` and the readiness check judge by."""

    name = models.CharField(primary_key=True, max_length=100)
    created_at = models.DateTimeField(auto_now_add=True, help_text="When it began for the first time.")
    started_at = models.DateTimeField()
    succeeded_at = models.DateTimeField(null=True)
    failures = models.PositiveIntegerField(default=0, help_text="Failed runs since the last success.")
    error = models.TextField(blank=True)

    def __str__(self) -> str:
        return self.name
