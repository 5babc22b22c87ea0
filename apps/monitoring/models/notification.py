"""The outbox."""

from __future__ import annotations

import uuid

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from apps.monitoring.models.channel import Channel
from apps.monitoring.models.rule import AlertRule


class Notification(models.Model):
    """One message to one channel, written in the transaction that decided it and kept until it is delivered.

    The id is stable over every attempt: receivers drop a repetition by it.
    """

    class Kind(models.TextChoices):
        """Why it is sent."""

        FIRING = "firing"
        REMINDER = "reminder"
        RESOLVED = "resolved"
        ACKNOWLEDGED = "acknowledged"
        TEST = "test"

    class Status(models.TextChoices):
        """``dead``: given up, kept, and re-sendable."""

        PENDING = "pending"
        DELIVERED = "delivered"
        DEAD = "dead"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    channel = models.ForeignKey(Channel, on_delete=models.CASCADE, related_name="notifications")
    # An index of its own: see below.
    rule = models.ForeignKey(AlertRule, null=True, on_delete=models.SET_NULL, related_name="notifications", db_index=False)
    kind = models.CharField(max_length=12, choices=Kind.choices)
    minute = models.DateTimeField(help_text="The judged minute, in data time.")
    payload = models.JSONField()
    alert_ids = ArrayField(
        models.BigIntegerField(), default=list, help_text="Every alert that it is about, also those unnamed."
    )
    about = models.ForeignKey(
        Channel,
        null=True,
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        related_name="+",
        help_text="The failing channel that it is about. It may be deleted since.",
    )
    broken_rule = models.BigIntegerField(
        null=True, help_text="The number of the rule that cannot be evaluated, which it is about. It may be deleted since."
    )
    fallback_of = models.ForeignKey(
        "self",
        null=True,
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        db_index=False,
        related_name="+",
        help_text="What it tells again, at a fallback or after its beginning. It may be deleted since.",
    )
    receipt = models.JSONField(default=dict, help_text="What the receiver calls it, to change it later.")
    status = models.CharField(max_length=9, choices=Status.choices, default=Status.PENDING)
    attempts = models.PositiveIntegerField(default=0)
    first_attempt_at = models.DateTimeField(null=True)
    next_attempt_at = models.DateTimeField()
    leased_until = models.DateTimeField(null=True)
    last_error = models.TextField(blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    delivered_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["rule", "channel", "minute", "kind"],
                condition=Q(fallback_of=None) & ~Q(kind__in=["test", "acknowledged"]),
                name="monitoring_notification_once",
            ),
            models.UniqueConstraint(
                fields=["broken_rule", "channel", "minute", "kind"],
                condition=Q(broken_rule__isnull=False),
                name="monitoring_broken_rule_told_once",
            ),
        ]
        indexes = [
            models.Index(
                fields=["channel", "next_attempt_at"], condition=Q(status="pending"), name="monitoring_notification_due"
            ),
            models.Index(fields=["-created_at"], name="monitoring_notification_new"),
            models.Index(fields=["rule", "channel", "minute"], name="monitoring_notification_rule"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.payload.get('rule', {}).get('name', '')} to {self.channel}"
