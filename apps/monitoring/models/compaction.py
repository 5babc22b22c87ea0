"""What has been compacted into what, and what has been dropped."""

from __future__ import annotations

from django.db import models


class Compaction(models.Model):
    """One hour or day of one shard that has data, and whether its rows hold all of it.

    Whoever changes the finer rows of a period counts `changes` up in the same transaction; whoever recomputes the
    period writes down the number it had seen before it read them. So a period is stale exactly when the numbers differ,
    and nobody has to wait for anybody. A period without a row has no data.
    """

    pk = models.CompositePrimaryKey("resolution", "shard", "ts")
    ts = models.DateTimeField(help_text="Start of the period, UTC.")
    changes = models.BigIntegerField(default=1, help_text="How often its finer rows were written.")
    compacted = models.BigIntegerField(default=0, help_text="The changes that its own rows hold.")
    compacted_at = models.DateTimeField(null=True)
    resolution = models.SmallIntegerField(help_text="Minutes in the period: 60 or 1440.")
    shard = models.SmallIntegerField()
    rows = models.PositiveIntegerField(default=0, help_text="Snapshot rows that the last compaction wrote.")

    class Meta:
        indexes = [
            models.Index(
                fields=["resolution", "ts", "shard"],
                name="monitoring_compaction_stale",
                condition=models.Q(changes__gt=models.F("compacted")),
            )
        ]

    def __str__(self) -> str:
        return f"{self.resolution} minutes from {self.ts:%Y-%m-%dT%H:%MZ}, shard {self.shard}"


class RetentionFloor(models.Model):
    """The rows of one resolution that begin before ``ts`` are gone, or go soon. It only ever moves forward."""

    resolution = models.SmallIntegerField(primary_key=True, help_text="Minutes in the period: 1, 60 or 1440.")
    ts = models.DateTimeField(help_text="Rows that begin before are dropped.")
    moved_at = models.DateTimeField()

    class Meta:
        verbose_name_plural = "retention and disk use"

    def __str__(self) -> str:
        return f"{self.resolution} minutes from {self.ts:%Y-%m-%dT%H:%MZ}"


class SeriesPurge(models.Model):
    """How many series were purged because they had no row any more; one row, written with each lot of them."""

    SINGLETON = 1

    id = models.SmallIntegerField(primary_key=True, default=SINGLETON)
    purged = models.BigIntegerField(help_text="Series, so far.")
    before = models.DateField(help_text="The last of them had no row of this day or a later one.")
    purged_at = models.DateTimeField()

    class Meta:
        verbose_name_plural = "series purge"
        constraints = [models.CheckConstraint(condition=models.Q(id=1), name="monitoring_one_series_purge")]

    def __str__(self) -> str:
        return f"{self.purged} series without a row since {self.before}"
