from django.db import migrations, models

# The key begins with time, so a minute is appended at its end: a key that began with the series touched every page of the
# index each minute, 80,000 of them a day later with 100,000 series. It also finds the rows of one shard and period, for
# which there were block range indexes. Series have four-byte numbers: with eight a row and its entry were 16 bytes longer.
FORWARD = """
DROP INDEX monitoring_metricsnapshot_1m_brin;
DROP INDEX monitoring_metricsnapshot_1h_brin;
DROP INDEX monitoring_metricsnapshot_1d_brin;
ALTER TABLE monitoring_metricsnapshot DROP CONSTRAINT monitoring_metricsnapshot_pkey;
ALTER TABLE monitoring_metricsnapshot ALTER COLUMN series_id TYPE integer;
ALTER TABLE monitoring_metricsnapshot ADD PRIMARY KEY (ts, part, series_id, resolution);
ALTER TABLE monitoring_series ALTER COLUMN id TYPE integer;
"""
BACKWARD = """
ALTER TABLE monitoring_series ALTER COLUMN id TYPE bigint;
ALTER TABLE monitoring_metricsnapshot DROP CONSTRAINT monitoring_metricsnapshot_pkey;
ALTER TABLE monitoring_metricsnapshot ALTER COLUMN series_id TYPE bigint;
ALTER TABLE monitoring_metricsnapshot ADD PRIMARY KEY (resolution, series_id, ts, part);
CREATE INDEX monitoring_metricsnapshot_1m_brin ON monitoring_metricsnapshot_1m USING brin (ts, part) WITH (pages_per_range = 16);
CREATE INDEX monitoring_metricsnapshot_1h_brin ON monitoring_metricsnapshot_1h USING brin (ts, part) WITH (pages_per_range = 16);
CREATE INDEX monitoring_metricsnapshot_1d_brin ON monitoring_metricsnapshot_1d USING brin (ts, part) WITH (pages_per_range = 16);
"""


class Migration(migrations.Migration):

    dependencies = [
        ('monitoring', '0004_secrets_when_asked'),
    ]

    operations = [
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.AlterField(model_name='series', name='id', field=models.AutoField(primary_key=True, serialize=False)),
            ],
            database_operations=[migrations.RunSQL(FORWARD, BACKWARD)],
        ),
    ]
