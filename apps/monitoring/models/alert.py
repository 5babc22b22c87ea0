"""What the rules decided: the state now, the episodes, and every transition with its reason."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from apps.monitoring.core.quantity import spell, spell_beside
from apps.monitoring.models.rule import AlertRule
from apps.monitoring.models.snapshot import TENANT_MAX_LENGTH


class AlertState(models.Model):
    """Where one rule stands for one tenant ("" = all together). Only rows that are not plainly inactive exist."""

    rule = models.ForeignKey(AlertRule, on_delete=models.CASCADE, related_name="states")
    tenant = models.CharField(max_length=TENANT_MAX_LENGTH, blank=True)
    status = models.CharField(max_length=8, help_text="inactive, pending or firing.")
    since = models.DateTimeField(null=True, help_text="First minute of the breach that led here.")
    recovering_since = models.DateTimeField(null=True)
    notified_at = models.DateTimeField(null=True, help_text="Minute of the last firing notification: the cooldown's start.")
    announced = models.BooleanField(default=False, help_text="The alert that fires was notified, so its end will be.")
    acknowledged = models.CharField(
        max_length=8, blank=True, help_text="The severity at which somebody took it on; empty when nobody has."
    )
    alert = models.ForeignKey("Alert", null=True, on_delete=models.SET_NULL, related_name="+", help_text="The one that fires.")
    owed = models.ForeignKey(
        "Alert",
        null=True,
        on_delete=models.SET_NULL,
        related_name="+",
        help_text="One that was notified and has ended, of which nobody could be told yet.",
    )
    subject = models.CharField(max_length=16, blank=True, help_text="What the rule judged, of whom: a digest.")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["rule", "tenant"], name="monitoring_one_state")]

    def __str__(self) -> str:
        return f"{self.rule} {self.tenant or 'all tenants'}: {self.status}"


class Alert(models.Model):
    """One episode: from the minute a rule fired for a tenant to the minute it resolved."""

    rule = models.ForeignKey(AlertRule, null=True, on_delete=models.SET_NULL, related_name="alerts")
    rule_name = models.CharField(max_length=100)
    tenant = models.CharField(max_length=TENANT_MAX_LENGTH, blank=True)
    severity = models.CharField(max_length=8)
    since = models.DateTimeField(help_text="First minute of the breach.")
    fired_at = models.DateTimeField()
    resolved_at = models.DateTimeField(null=True)
    value = models.FloatField(null=True)
    threshold = models.FloatField()
    samples = models.PositiveBigIntegerField(default=0)
    acknowledged_at = models.DateTimeField(null=True)
    acknowledged_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    acknowledgement_note = models.TextField(blank=True)

    class Meta:
        ordering = ["-fired_at", "-id"]
        indexes = [
            models.Index(fields=["-fired_at"], name="monitoring_alert_fired"),
            models.Index(fields=["tenant", "-fired_at"], name="monitoring_alert_tenant"),
        ]

    def __str__(self) -> str:
        return f"{self.rule_name} {self.tenant or 'all tenants'} since {self.fired_at:%Y-%m-%dT%H:%MZ}"

    @property
    def seen(self) -> str | None:
        """The value as people write it; without a unit when the rule was deleted."""
        return None if self.value is None else spell_beside(self.value, self.threshold, self._unit())

    @property
    def limit(self) -> str:
        """The threshold as people write it."""
        return spell(self.threshold, self._unit())

    def _unit(self) -> str:
        return "" if self.rule is None else self.rule.definition().unit


class AlertTransition(models.Model):
    """One line of the history: what changed, or what was said or held back without a change, and why."""

    class Event(models.TextChoices):
        """A change of state, or a notification decision within one state."""

        TRANSITION = "transition"
        REMINDER = "reminder"

    rule = models.ForeignKey(AlertRule, null=True, on_delete=models.SET_NULL, related_name="transitions")
    rule_name = models.CharField(max_length=100)
    tenant = models.CharField(max_length=TENANT_MAX_LENGTH, blank=True)
    minute = models.DateTimeField()
    event = models.CharField(max_length=10, choices=Event.choices, default=Event.TRANSITION)
    state = models.CharField(max_length=8)
    value = models.FloatField(null=True)
    samples = models.PositiveBigIntegerField(default=0)
    notified = models.BooleanField()
    reason = models.CharField(max_length=300)
    alert = models.ForeignKey(Alert, null=True, on_delete=models.SET_NULL, related_name="transitions")

    class Meta:
        ordering = ["minute", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["rule", "tenant", "minute", "event", "state"], name="monitoring_one_transition_a_minute"
            )
        ]
        indexes = [models.Index(fields=["-minute"], name="monitoring_transition_minute")]

    def __str__(self) -> str:
        return f"{self.minute:%Y-%m-%dT%H:%MZ} {self.rule_name} {self.tenant}: {self.state}"
