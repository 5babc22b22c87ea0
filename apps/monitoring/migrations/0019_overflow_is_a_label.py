"""What a user's metric counts over the cap of its labels has labels that are JSON, as everything else."""

from __future__ import annotations

from typing import Final

from django.db import migrations

_TO: Final = """UPDATE monitoring_series SET labels = '{"otel.metric.overflow":"true"}' WHERE labels = 'other' AND metric LIKE 'user.%'"""
_BACK: Final = """UPDATE monitoring_series SET labels = 'other' WHERE labels = '{"otel.metric.overflow":"true"}' AND metric LIKE 'user.%'"""


class Migration(migrations.Migration):
    dependencies = [("monitoring", "0018_notifications_outlive")]

    operations = [migrations.RunSQL(_TO, _BACK)]
