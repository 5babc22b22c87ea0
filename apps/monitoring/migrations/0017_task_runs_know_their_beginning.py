"""When a task ran for the first time, so that one that has never finished is noticed."""

from django.db import migrations, models
from django.utils import timezone


class Migration(migrations.Migration):
    dependencies = [("monitoring", "0016_rules_that_take_too_much")]

    operations = [
        migrations.AddField(
            model_name="taskrun",
            name="created_at",
            field=models.DateTimeField(
                auto_now_add=True, default=timezone.now, help_text="When it began for the first time."
            ),
            preserve_default=False,
        ),
    ]
