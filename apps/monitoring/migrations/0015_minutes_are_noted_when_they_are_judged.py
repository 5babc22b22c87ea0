"""When each minute was judged, so that it can be explained by the rules of that moment."""

from django.db import migrations, models
from django.db.models.functions import Now


class Migration(migrations.Migration):
    dependencies = [("monitoring", "0014_series_are_purged")]

    operations = [
        migrations.CreateModel(
            name="Judging",
            fields=[
                ("start", models.DateTimeField(primary_key=True, serialize=False)),
                ("until", models.DateTimeField()),
                (
                    "at",
                    models.DateTimeField(db_default=Now(), help_text="When the rules were read, by the clock of the database."),
                ),
            ],
        ),
    ]
