"""Series and their rolled-up values."""

from __future__ import annotations

from django.db import models
from django.db.models.expressions import RawSQL

TENANT_MAX_LENGTH = 128
LEASE_DAYS = 30
"""How far beyond the day of a row the number of its series is leased, at least; at most twice as far."""


class Series(models.Model):
    """One metric of one tenant with one set of labels; tenant "" is all tenants together.

    ``labels`` is canonical JSON (sorted keys, no spaces), "" when the metric has no labels. Its number is leased to whoever
    writes rows (`rollup/series_ids.py`), and never used again after the series was purged (`rollup/purge.py`).
    """

    id = models.AutoField(primary_key=True)  # four bytes: each snapshot row and its index entry repeat it
    tenant = models.CharField(max_length=TENANT_MAX_LENGTH, blank=True)
    metric = models.CharField(max_length=128)
    labels = models.TextField(blank=True)
    leased_until = models.DateField(
        db_default=RawSQL(  # noqa: S611 - of literals; for whoever inserts and says nothing of it
            f"(CURRENT_DATE + {LEASE_DAYS} + floor(random() * {LEASE_DAYS + 1})::integer)", []
        ),
        help_text="No row of it is of a later day (UTC): who is to write one renews the lease first.",
    )

    class Meta:
        verbose_name_plural = "series"
        constraints = [models.UniqueConstraint(fields=["tenant", "metric", "labels"], name="monitoring_series_identity")]
        indexes = [models.Index(fields=["metric", "tenant"], name="monitoring_series_metric")]

    def __str__(self) -> str:
        return f"{self.metric}{self.labels} of {self.tenant or 'all tenants'}"


class MetricSnapshot(models.Model):
    """What one series did in one period, as one shard saw it.

    Rows of one series and period under several ``part`` numbers (a global series has one row for each shard)
    are merged when read, so no two roll-up tasks ever write the same row. All numbers are integers in the
    metric's storage unit (microseconds, nano-dollars, millionths); a column that the metric's kind does not
    use is NULL and takes no space. ``data`` is an encoded histogram or distinct-count sketch.

    The table is partitioned by resolution and time; it is created by SQL in the migrations because Django has
    no notion of partitions. There is no foreign key to Series in the database: a check for each of 100,000
    copied rows would cost more than the copy. That a row has its series is held by the series' leases.
    """

    # In the database the key is in the order (ts, part, series, resolution): see the migration that made it so.
    pk = models.CompositePrimaryKey("resolution", "series", "ts", "part")
    ts = models.DateTimeField(help_text="Start of the period, UTC.")
    count = models.BigIntegerField(null=True)
    sum = models.BigIntegerField(null=True)
    min = models.BigIntegerField(null=True)
    max = models.BigIntegerField(null=True)
    series = models.ForeignKey(Series, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+")
    resolution = models.SmallIntegerField(help_text="Minutes in the period: 1, 60 or 1440.")
    part = models.SmallIntegerField(help_text="Shard that wrote the row.")
    data = models.BinaryField(null=True)

    class Meta:
        db_table = "monitoring_metricsnapshot"

    def __str__(self) -> str:
        return f"series {self.series_id} at {self.ts:%Y-%m-%dT%H:%MZ}"
