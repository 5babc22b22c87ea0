"""Alert rules, edited by ops in the admin."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import MinValueValidator
from django.db import models

from apps.monitoring.conf import conf
from apps.monitoring.core import rules, soundness
from apps.monitoring.core.period import Period
from apps.monitoring.models.audit import Audited
from apps.monitoring.models.channel import Channel
from apps.monitoring.models.snapshot import TENANT_MAX_LENGTH


def _choices(values: type[StrEnum]) -> list[tuple[str, str]]:
    return [(value.value, value.value.replace("_", " ")) for value in values]


class AlertRule(Audited):
    """A condition on a metric over a window. Saved means validated: `clean` refuses what cannot work."""

    name = models.SlugField(max_length=100, unique=True)
    description = models.TextField(blank=True)
    enabled = models.BooleanField(default=True)
    metric = models.CharField(max_length=128, help_text="A metric of the catalogue, or user.<name>.")
    statistic = models.CharField(max_length=8, choices=_choices(rules.Statistic))
    operator = models.CharField(max_length=4, choices=_choices(rules.Operator))
    threshold = models.FloatField(help_text="In the metric's unit: ms, USD, share of 1, count.")
    recovery_threshold = models.FloatField(null=True, blank=True, help_text="Empty: the threshold itself.")
    window_minutes = models.PositiveIntegerField(default=5, validators=[MinValueValidator(1)])
    for_minutes = models.PositiveIntegerField(default=0, help_text="The breach must last this long before the rule fires.")
    keep_firing_for_minutes = models.PositiveIntegerField(
        default=0, help_text="The recovery must last this long before the alert resolves."
    )
    min_samples = models.PositiveIntegerField(default=10, help_text="Below this there is no value.")
    severity = models.CharField(max_length=8, choices=_choices(rules.Severity), default=rules.Severity.WARNING.value)
    cooldown_minutes = models.PositiveIntegerField(default=15)
    scope = models.CharField(max_length=12, choices=_choices(rules.Scope), default=rules.Scope.EVERY_TENANT.value)
    tenant = models.CharField(max_length=TENANT_MAX_LENGTH, blank=True, help_text="For the scope of one tenant.")
    label_filter = models.JSONField(default=dict, blank=True, help_text='Only series with these labels: {"model": "gpt-4o"}.')
    no_data = models.CharField(max_length=5, choices=_choices(rules.NoData), default=rules.NoData.OK.value)
    change_against = models.CharField(
        max_length=4,
        blank=True,
        choices=_choices(rules.Earlier),
        help_text="The value is by how many per cent it differs from that of the same window a day or a week before.",
    )
    budget = models.CharField(
        max_length=5,
        blank=True,
        choices=_choices(Period),
        help_text="The value is of the calendar day or month so far; only a forecast uses the window, for its rate.",
    )
    channels = models.ManyToManyField(Channel, blank=True, related_name="rules", help_text="None: every default channel.")
    message_template = models.TextField(
        blank=True, help_text="Placeholders: {rule} {tenant} {value} {threshold} {samples} {window} {severity}."
    )
    runbook_url = models.URLField(blank=True)
    error = models.TextField(blank=True, editable=False, help_text="Why the last evaluation of this rule failed.")
    error_since = models.DateTimeField(null=True, editable=False)
    exhausted_at = models.DateTimeField(
        null=True,
        editable=False,
        help_text="When it last failed because it took more time, memory or disk than it may: then it is tried now and then.",
    )
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Validate whatever the way in: admin, API, shell or code."""
        if kwargs.get("update_fields") is None:
            self.full_clean()
        super().save(*args, **kwargs)

    def clean(self) -> None:
        """Refuse a rule that cannot work, with the field and the reason."""
        problems = soundness.problems(self.definition())
        if problems:
            raise ValidationError(dict(problems))

    def definition(self) -> rules.Rule:
        """The rule as the value that the pure core judges with."""
        return rules.Rule(
            name=self.name,
            metric=self.metric,
            statistic=self.statistic,
            operator=self.operator,
            threshold=self.threshold,
            recovery_threshold=self.recovery_threshold,
            window=self.window_minutes,
            pending_for=self.for_minutes,
            keep_firing_for=self.keep_firing_for_minutes,
            min_samples=self.min_samples,
            severity=self.severity,
            cooldown=self.cooldown_minutes,
            scope=self.scope,
            tenant=self.tenant,
            label_filter=self.label_filter,
            no_data=self.no_data,
            message_template=self.message_template,
            change_against=self.change_against,
            budget=self.budget,
            time_zone=conf().time_zone,
        )
