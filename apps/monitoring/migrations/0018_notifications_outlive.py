"""A notification outlives what it is a copy of, and the channel whose failing it tells.

The ends of one minute may be told in several copies.
"""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models
from django.db.models import Q

ONCE = "ON monitoring_notification (rule_id, channel_id, minute, kind)"
KINDS = "kind NOT IN ('test', 'acknowledged')"
FORWARD = [
    "DROP INDEX CONCURRENTLY IF EXISTS monitoring_notification_once",
    f"CREATE UNIQUE INDEX CONCURRENTLY monitoring_notification_once {ONCE} WHERE fallback_of_id IS NULL AND {KINDS}",
    "DROP INDEX CONCURRENTLY IF EXISTS monitoring_one_notification",
]
BACKWARD = [
    "DROP INDEX CONCURRENTLY IF EXISTS monitoring_one_notification",
    f"CREATE UNIQUE INDEX CONCURRENTLY monitoring_one_notification {ONCE} WHERE {KINDS}",
    "DROP INDEX CONCURRENTLY IF EXISTS monitoring_notification_once",
]
OF_RULE = "monitoring_notification_rule_id_ce32b12a"


class Migration(migrations.Migration):
    # Notifications are written while an index is built. Django would check every row for a foreign key that stays as it is.
    atomic = False

    dependencies = [("monitoring", "0017_task_runs_know_their_beginning")]

    operations = [
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.RemoveConstraint("notification", "monitoring_one_notification"),
                migrations.AddConstraint(
                    "notification",
                    models.UniqueConstraint(
                        fields=["rule", "channel", "minute", "kind"],
                        condition=Q(fallback_of=None) & ~Q(kind__in=["test", "acknowledged"]),
                        name="monitoring_notification_once",
                    ),
                ),
            ],
            database_operations=[
                migrations.RunSQL([one], [another]) for one, another in zip(FORWARD, reversed(BACKWARD), strict=True)
            ],
        ),
        migrations.AlterField(
            model_name="notification",
            name="fallback_of",
            field=models.ForeignKey(
                "monitoring.notification",
                null=True,
                on_delete=models.DO_NOTHING,
                db_constraint=False,
                db_index=False,
                related_name="+",
                help_text="What it tells again, at a fallback or after its beginning. It may be deleted since.",
            ),
        ),
        migrations.AlterField(
            model_name="notification",
            name="about",
            field=models.ForeignKey(
                "monitoring.channel",
                null=True,
                on_delete=models.DO_NOTHING,
                db_constraint=False,
                related_name="+",
                help_text="The failing channel that it is about. It may be deleted since.",
            ),
        ),
        AddIndexConcurrently("notification", models.Index(fields=["rule", "channel", "minute"], name="monitoring_notification_rule")),
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.AlterField(
                    model_name="notification",
                    name="rule",
                    field=models.ForeignKey(
                        "monitoring.alertrule",
                        null=True,
                        on_delete=models.SET_NULL,
                        related_name="notifications",
                        db_index=False,
                    ),
                ),
            ],
            database_operations=[
                migrations.RunSQL(
                    f"DROP INDEX CONCURRENTLY IF EXISTS {OF_RULE}",
                    f"CREATE INDEX CONCURRENTLY {OF_RULE} ON monitoring_notification (rule_id)",
                )
            ],
        ),
    ]
