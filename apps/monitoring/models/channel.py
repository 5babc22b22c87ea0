"""Where notifications go."""

from __future__ import annotations

from django.core.exceptions import ValidationError
from django.db import models

from apps.monitoring.models.audit import Audited
from apps.monitoring.models.encrypted import EncryptedJSONField


class WithoutSecrets(models.Manager["Channel"]):
    """Reads the secrets when somebody asks for them: one that cannot be decrypted must not hide the rows around it."""

    def get_queryset(self) -> models.QuerySet[Channel]:
        """Deferred."""
        return super().get_queryset().defer("secrets")


class Channel(Audited):
    """One way out. ``config`` is shown and edited; ``secrets`` is encrypted at rest and never shown again."""

    name = models.SlugField(max_length=100, unique=True)
    kind = models.CharField(max_length=100, help_text="How it is reached: see docs/notifications.md.")
    config = models.JSONField(default=dict, blank=True)
    secrets = EncryptedJSONField(default=dict, blank=True)
    enabled = models.BooleanField(default=True)
    is_default = models.BooleanField(default=False, help_text="Used by every rule that names no channel.")
    fallback = models.ForeignKey(
        "self",
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
        help_text="Also told what this channel could not deliver in time.",
    )
    fallback_after_minutes = models.PositiveIntegerField(
        default=5, help_text="How long a notification may wait before the fallback is told; one that is given up goes at once."
    )
    failures = models.PositiveIntegerField(default=0, editable=False, help_text="Attempts that failed in a row.")
    paused_until = models.DateTimeField(null=True, editable=False, help_text="Left alone until then.")
    failure_told_at = models.DateTimeField(
        null=True, editable=False, help_text="When other channels were told that this one fails."
    )
    last_success_at = models.DateTimeField(null=True, editable=False)
    failing_since = models.DateTimeField(null=True, editable=False)
    last_error = models.TextField(blank=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = models.Manager()
    without_secrets = WithoutSecrets()

    class Meta:
        ordering = ["name"]
        base_manager_name = "without_secrets"

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        """A channel is no fallback of its own."""
        if self.pk is not None and self.fallback_id == self.pk:
            raise ValidationError({"fallback": "A channel that fails cannot stand in for itself."})
