"""Where notifications go."""

from __future__ import annotations

from django.db import models

from apps.monitoring.models.encrypted import EncryptedJSONField


class Channel(models.Model):
    """One way out. ``config`` is shown and edited; ``secrets`` is encrypted at rest and never shown again."""

    name = models.SlugField(max_length=100, unique=True)
    kind = models.CharField(max_length=100, help_text="log, sentry, email, webhook.")
    config = models.JSONField(default=dict, blank=True)
    secrets = EncryptedJSONField(default=dict, blank=True)
    enabled = models.BooleanField(default=True)
    is_default = models.BooleanField(default=False, help_text="Used by every rule that names no channel.")
    last_success_at = models.DateTimeField(null=True, editable=False)
    failing_since = models.DateTimeField(null=True, editable=False)
    last_error = models.TextField(blank=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name
