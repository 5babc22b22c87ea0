"""Who edited what, when, and what it was before."""

from __future__ import annotations

from typing import Any

from django.contrib.postgres.functions import TransactionNow
from django.core.serializers.json import DjangoJSONEncoder
from django.db import models, transaction


class Audited(models.Model):
    """Every edit leaves an entry in the same transaction, so that there is none without the other."""

    class Meta:
        abstract = True

    def save(self, *args: Any, **kwargs: Any) -> None:
        """In one transaction with the entry."""
        with transaction.atomic():
            super().save(*args, **kwargs)


class AuditEntry(models.Model):
    """What one transaction did to one object. ``before`` and ``after`` hold every field by name; None: there was no object."""

    class Action(models.TextChoices):
        """What was done."""

        CREATED = "created"
        CHANGED = "changed"
        DELETED = "deleted"

    class Kind(models.TextChoices):
        """Of what."""

        RULE = "rule"
        CHANNEL = "channel"
        SILENCE = "silence"
        MUTE_WINDOW = "mute window"

    at = models.DateTimeField(db_default=TransactionNow(), help_text="When the transaction began.")
    actor = models.CharField(max_length=200, blank=True, help_text="Empty: a shell, or code.")
    kind = models.CharField(max_length=11, choices=Kind.choices)
    object_id = models.BigIntegerField()
    name = models.CharField(max_length=200)
    action = models.CharField(max_length=7, choices=Action.choices)
    before = models.JSONField(null=True, encoder=DjangoJSONEncoder)
    after = models.JSONField(null=True, encoder=DjangoJSONEncoder)

    class Meta:
        ordering = ["-at", "-id"]
        verbose_name_plural = "audit"
        constraints = [models.UniqueConstraint(fields=["kind", "object_id", "at"], name="monitoring_one_entry_a_transaction")]
        indexes = [models.Index(fields=["-at"], name="monitoring_audit_at")]

    def __str__(self) -> str:
        return f"{self.kind} {self.name} {self.action} by {self.actor or 'code'}"

    def changes(self) -> list[tuple[str, Any, Any]]:
        """Field, before and after, of every field that differs, by name."""
        before, after = self.before or {}, self.after or {}
        names = sorted({*before, *after})
        return [(name, before.get(name), after.get(name)) for name in names if before.get(name) != after.get(name)]
