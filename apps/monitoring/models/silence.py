"""What holds notifications back for a while, and why somebody wanted that."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import ValidationError
from django.db import models
from django.utils import timezone

from apps.monitoring.core import silences
from apps.monitoring.core.clock import to_minute
from apps.monitoring.core.rules import Severity
from apps.monitoring.models.audit import Audited
from apps.monitoring.models.snapshot import TENANT_MAX_LENGTH

LASTS: Final = timedelta(hours=2)
"""Unless somebody says otherwise."""
_RULE_MAX_LENGTH: Final = 100
_MOST_NAMES: Final = 100
"""In one list: every minute each rule is compared with them, and many have a beginning in common."""
_COMMENT_MAX_LENGTH: Final = 2_000


class Matched(Audited):
    """Which notifications are meant, by rule, tenant and severity."""

    rules = ArrayField(
        models.CharField(max_length=_RULE_MAX_LENGTH), default=list, blank=True,
        help_text="Names of rules, one a line; error-rate* is whatever begins with that. Empty: every rule.",
    )  # fmt: skip
    tenants = ArrayField(
        models.CharField(max_length=TENANT_MAX_LENGTH), default=list, blank=True,
        help_text="Tenants, one a line; test-* is whatever begins with that. Empty: every tenant, and all together.",
    )  # fmt: skip
    severities = ArrayField(
        models.CharField(max_length=8, choices=[(one.value, one.value) for one in Severity]), default=list, blank=True,
        help_text="None: every severity.",
    )  # fmt: skip

    class Meta:
        abstract = True

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Validate whatever the way in."""
        if kwargs.get("update_fields") is None:
            self.full_clean()
        super().save(*args, **kwargs)

    def clean(self) -> None:
        """Who names nothing would hold back everything, by mistake as easily as on purpose."""
        if not (self.rules or self.tenants or self.severities):
            raise ValidationError("Name a rule, a tenant or a severity. To hold back everything, choose every severity.")
        for field, names in (("rules", self.rules), ("tenants", self.tenants)):
            if len(names) > _MOST_NAMES:
                msg = f"{len(names):,} names; a list has {_MOST_NAMES} at most: name* is all that begin alike."
                raise ValidationError({field: msg})

    def matchers(self) -> silences.Matchers:
        """As the value that the pure core matches with."""
        return silences.Matchers(tuple(self.rules), tuple(self.tenants), tuple(self.severities))


class SilenceState(StrEnum):
    """Whether it holds anything back."""

    PENDING = "pending"
    ACTIVE = "active"
    EXPIRED = "expired"


def _now() -> datetime:
    return whole_minute(timezone.now())


def _in_a_while() -> datetime:
    return _now() + LASTS


def whole_minute(moment: datetime) -> datetime:
    """The start of the minute."""
    return moment.replace(second=0, microsecond=0)


class Silence(Matched):
    """Holds back the notifications about what it matches, from one minute to another.

    Nobody deletes it: it expires, and is forgotten with the rest of the history.
    """

    starts_at = models.DateTimeField("from", default=_now, help_text="UTC, in whole minutes.")
    ends_at = models.DateTimeField("until", default=_in_a_while, help_text="What still fires then is told then.")
    author = models.CharField(max_length=150, editable=False, help_text="Who made it.")
    comment = models.TextField(help_text="Why: the next one on duty reads it.")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-ends_at", "-id"]
        indexes = [models.Index(fields=["ends_at"], name="monitoring_silence_ends")]

    def __str__(self) -> str:
        return f"silence {self.pk} of {self.matchers()}"

    def clean(self) -> None:
        """Whole minutes, of which there is one at least."""
        super().clean()
        if len(self.comment) > _COMMENT_MAX_LENGTH:
            raise ValidationError({"comment": f"{len(self.comment):,} characters; {_COMMENT_MAX_LENGTH:,} at most."})
        self.starts_at, self.ends_at = whole_minute(self.starts_at), whole_minute(self.ends_at)
        if self.ends_at <= self.starts_at:
            raise ValidationError({"ends_at": "It ends before it begins, so it would hold nothing back."})

    def state(self, now: datetime) -> SilenceState:
        """Whether it holds anything back at a moment."""
        if now >= self.ends_at or self.ends_at == self.starts_at:
            return SilenceState.EXPIRED
        return SilenceState.PENDING if now < self.starts_at else SilenceState.ACTIVE

    def definition(self) -> silences.Silence:
        """As the value that the pure core judges with."""
        return silences.Silence(self.pk, self.matchers(), to_minute(self.starts_at), to_minute(self.ends_at))
