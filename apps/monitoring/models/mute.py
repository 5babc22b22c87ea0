"""Stretches of the week in which nobody is told."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import available_timezones

from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import ValidationError
from django.db import models

from apps.monitoring.conf import conf
from apps.monitoring.core import mute
from apps.monitoring.models.silence import Matched


class Weekday(models.IntegerChoices):
    """As Python counts them."""

    MONDAY = 0
    TUESDAY = 1
    WEDNESDAY = 2
    THURSDAY = 3
    FRIDAY = 4
    SATURDAY = 5
    SUNDAY = 6


def every_day() -> list[int]:
    """Monday to Sunday."""
    return [day.value for day in Weekday]


def own_zone() -> str:
    """The zone of the installation."""
    return conf().time_zone


class MuteWindow(Matched):
    """Holds back the notifications about what it matches, on some days of the week between two times of a clock on a wall."""

    name = models.SlugField(max_length=100, unique=True)
    enabled = models.BooleanField(default=True)
    weekdays = ArrayField(
        models.SmallIntegerField(choices=Weekday.choices), default=every_day, help_text="The days on which it begins."
    )
    starts = models.TimeField("from", help_text="By the clocks of the time zone.")
    ends = models.TimeField("until", help_text="Not after the beginning: on the next day.")
    time_zone = models.CharField(max_length=64, default=own_zone, help_text="Such as Europe/Berlin.")
    comment = models.TextField(blank=True, help_text="Why.")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        """Times of a zone that exists, to the minute."""
        super().clean()
        if self.time_zone not in available_timezones():
            raise ValidationError({"time_zone": f"There is no time zone {self.time_zone!r}; one is Europe/Berlin."})
        if any(moment is not None and (moment.second or moment.microsecond) for moment in (self.starts, self.ends)):
            raise ValidationError("Rules are judged by the minute: leave the seconds out.")

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Days in their order, each once."""
        self.weekdays = sorted(set(self.weekdays))
        super().save(*args, **kwargs)

    def definition(self) -> mute.MuteWindow:
        """As the value that the pure core judges with."""
        days = frozenset(self.weekdays)
        return mute.MuteWindow(self.name, self.matchers(), days, self.starts, self.ends, self.time_zone)

    def holds(self, moment: datetime) -> bool:
        """Whether it holds anything back at a moment."""
        return self.enabled and self.definition().holds(moment)
