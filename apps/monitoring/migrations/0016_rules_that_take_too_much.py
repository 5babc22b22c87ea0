"""When a rule last asked for too much, so that it is not tried again each minute."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("monitoring", "0015_minutes_are_noted_when_they_are_judged")]

    operations = [
        migrations.AddField(
            model_name="alertrule",
            name="exhausted_at",
            field=models.DateTimeField(
                editable=False,
                help_text="When it last failed because it took more time, memory or disk than it may: then it is tried now and then.",
                null=True,
            ),
        ),
    ]
