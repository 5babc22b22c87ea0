"""Mute windows."""

from __future__ import annotations

from functools import cache
from typing import Any
from zoneinfo import ZoneInfoNotFoundError, available_timezones

from django import forms
from django.contrib import admin
from django.utils import timezone

from apps.monitoring.admin.audit import AuditedAdmin
from apps.monitoring.admin.matchers import MatchersForm
from apps.monitoring.models import MuteWindow
from apps.monitoring.models.mute import Weekday, every_day, own_zone


@cache
def _zones() -> list[tuple[str, str]]:
    return [(name, name) for name in sorted(available_timezones())]


class MuteWindowForm(MatchersForm):
    """Days as boxes, zones as a list."""

    weekdays = forms.TypedMultipleChoiceField(
        choices=Weekday.choices, coerce=int, initial=every_day, widget=forms.CheckboxSelectMultiple
    )
    time_zone = forms.ChoiceField(choices=_zones, initial=own_zone)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["starts"].help_text = "By the clocks of the time zone below."


@admin.register(MuteWindow)
class MuteWindowAdmin(AuditedAdmin):
    """Which, when, and whether now."""

    form = MuteWindowForm
    list_display = ("name", "holds_back", "days", "starts", "ends", "time_zone", "enabled", "now", "comment")
    list_filter = ("enabled",)
    search_fields = ("name", "rules", "tenants", "comment")
    fields = (
        "name", "enabled", "rules", "tenants", "severities", "weekdays", "starts", "ends", "time_zone", "comment",
    )  # fmt: skip

    @admin.display(description="holds back")
    def holds_back(self, window: MuteWindow) -> str:
        """In words."""
        return str(window.matchers())

    @admin.display(description="on")
    def days(self, window: MuteWindow) -> str:
        """As people write them."""
        return " ".join(Weekday(day).label[:3] for day in window.weekdays)

    @admin.display(description="now")
    def now(self, window: MuteWindow) -> str:
        """Whether it holds anything back at this moment."""
        try:
            return "in force" if window.holds(timezone.now()) else ""
        except ZoneInfoNotFoundError as error:
            return str(error)
