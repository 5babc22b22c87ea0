"""How rule, tenant and severity are named on a page."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib.postgres.forms import SimpleArrayField

from apps.monitoring.core.rules import Severity


class Lines(forms.Textarea):
    """A list as lines; a browser ends them with more than Postgres should keep."""

    def value_from_datadict(self, data: Any, files: Any, name: str) -> Any:
        """Without empty lines and the spaces around each."""
        text = super().value_from_datadict(data, files, name)
        return text and "\n".join(line.strip() for line in text.splitlines() if line.strip())


def _lines(what: str) -> SimpleArrayField:
    help_text = f"One a line; name* is whatever begins with name. Empty: every {what}."
    return SimpleArrayField(
        forms.CharField(strip=True), delimiter="\n", required=False, widget=Lines(attrs={"rows": 3}), help_text=help_text
    )


class MatchersForm(forms.ModelForm):  # type: ignore[type-arg]
    """The model says what is wrong; here is how lists are typed."""

    rules = _lines("rule")
    tenants = _lines("tenant")
    severities = forms.MultipleChoiceField(
        choices=[(one.value, one.value) for one in Severity],
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text="None: every severity.",
    )
