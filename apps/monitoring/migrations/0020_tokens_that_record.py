"""Tokens that record, and do nothing else; those that exist go on as they are."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("monitoring", "0019_overflow_is_a_label")]

    operations = [
        migrations.AddField(
            model_name="apitoken",
            name="can_record",
            field=models.BooleanField(
                default=False,
                help_text="For an agent: with it the token records, and neither reads nor changes anything.",
                verbose_name="may record interactions",
            ),
        ),
        migrations.AddConstraint(
            model_name="apitoken",
            constraint=models.CheckConstraint(
                condition=models.Q(("can_record", True), ("can_write", True), _negated=True),
                name="monitoring_token_of_one_use",
                violation_error_message="A token that records does nothing else: make another one that may change things.",
            ),
        ),
    ]
