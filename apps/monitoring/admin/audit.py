"""Every edit: in a list of its own, and on the page of what was edited."""

from __future__ import annotations

import json
from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string

from apps.monitoring.admin.readonly import ReadOnlyAdmin
from apps.monitoring.audit.snapshot import KINDS
from apps.monitoring.models import AuditEntry


class AuditedAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """The button "History" shows what was edited, with the values; the framework's own shows that something was."""

    object_history_template = "admin/monitoring/history.html"

    def history_view(self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Newest first. Who may see the object may see what it was."""
        there = self.get_object(request, object_id)  # which knows what can be no number of a row
        found = () if there is None else AuditEntry.objects.filter(kind=KINDS[self.model], object_id=there.pk)
        entries = [(entry, _rows(entry)) for entry in found]
        return super().history_view(request, object_id, {**(extra_context or {}), "entries": entries})


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyAdmin):
    """Also of what does not exist any more."""

    list_display = ("at", "who", "kind", "name", "action", "fields_changed")
    list_filter = ("kind", "action")
    search_fields = ("name", "actor")
    date_hierarchy = "at"
    fields = ("at", "who", "kind", "name", "action", "values")
    readonly_fields = ("who", "values")

    @admin.display(description="by", ordering="actor")
    def who(self, entry: AuditEntry) -> str:
        """A user, a token or a command."""
        return entry.actor or "code or a shell"

    @admin.display(description="fields")
    def fields_changed(self, entry: AuditEntry) -> str:
        """Names only; of what was made or deleted every field is one."""
        changed = entry.action == AuditEntry.Action.CHANGED
        return ", ".join(name for name, _, _ in entry.changes()) if changed else "all"

    @admin.display(description="before and after")
    def values(self, entry: AuditEntry) -> str:
        """What differs."""
        return render_to_string("admin/monitoring/changes.html", {"rows": _rows(entry)})


def _rows(entry: AuditEntry) -> list[tuple[str, str, str]]:
    return [(name, _text(before), _text(after)) for name, before, after in entry.changes()]


def _text(value: Any) -> str:
    if value is None or value == "":
        return "–"  # noqa: RUF001 - a dash in a table
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)
