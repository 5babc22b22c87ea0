"""A state names the alert whose end is owed, and the severity at which somebody took an alert on."""

import django.db.models.deletion
from django.db import migrations, models

FILL = """
SET CONSTRAINTS ALL IMMEDIATE;
UPDATE monitoring_alertstate SET owed_id = alert_id, announced = false WHERE announced AND status <> 'firing';
UPDATE monitoring_alertstate SET alert_id = NULL WHERE status <> 'firing';
UPDATE monitoring_alertstate AS s SET acknowledged_severity = r.severity
  FROM monitoring_alertrule AS r WHERE r.id = s.rule_id AND s.acknowledged;
"""
EMPTY = """
SET CONSTRAINTS ALL IMMEDIATE;
UPDATE monitoring_alertstate SET announced = true, alert_id = owed_id WHERE owed_id IS NOT NULL AND status <> 'firing';
UPDATE monitoring_alertstate SET acknowledged = (acknowledged_severity <> '');
"""


class Migration(migrations.Migration):

    dependencies = [
        ('monitoring', '0010_audit'),
    ]

    operations = [
        migrations.AddField(
            model_name='alertstate',
            name='owed',
            field=models.ForeignKey(help_text='One that was notified and has ended, of which nobody could be told yet.', null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to='monitoring.alert'),
        ),
        migrations.AddField(
            model_name='alertstate',
            name='acknowledged_severity',
            field=models.CharField(blank=True, default='', max_length=8),
            preserve_default=False,
        ),
        migrations.RunSQL(FILL, EMPTY),
        migrations.RemoveField(model_name='alertstate', name='acknowledged'),
        migrations.RenameField(model_name='alertstate', old_name='acknowledged_severity', new_name='acknowledged'),
        migrations.AlterField(
            model_name='alertstate',
            name='acknowledged',
            field=models.CharField(blank=True, help_text='The severity at which somebody took it on; empty when nobody has.', max_length=8),
        ),
        migrations.AlterField(
            model_name='alertstate',
            name='alert',
            field=models.ForeignKey(help_text='The one that fires.', null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to='monitoring.alert'),
        ),
        migrations.AlterField(
            model_name='alertstate',
            name='announced',
            field=models.BooleanField(default=False, help_text='The alert that fires was notified, so its end will be.'),
        ),
    ]
