"""Tokens that may change things; those that exist go on reading."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("monitoring", "0012_broken_rules_are_told")]

    operations = [
        migrations.AddField(
            model_name="apitoken",
            name="can_write",
            field=models.BooleanField(
                default=False,
                help_text="Without it the token only reads. docs/api.md says what it opens.",
                verbose_name="may change things",
            ),
        ),
    ]
