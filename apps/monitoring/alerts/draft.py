"""A rule that is tried out and not saved: a stored one with other values, or a new one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from django.core.exceptions import ValidationError

from apps.monitoring.models import AlertRule

NEEDED: Final = ("metric", "statistic", "operator", "threshold")
"""What a rule that is not stored has to say of itself; the rest has defaults."""


def draft(name: str, values: Mapping[str, Any]) -> AlertRule:
    """The rule of this name with these fields changed, not saved. Raises ValidationError with what is wrong."""
    rule = AlertRule.objects.filter(name=name).first()
    if rule is None:
        missing = [field for field in NEEDED if field not in values]
        if missing:
            known = ", ".join(AlertRule.objects.values_list("name", flat=True)) or "none"
            msg = f"there is no rule {name!r} (there are: {known}); one that is not saved needs {', '.join(missing)}"
            raise ValidationError(msg)
        rule = AlertRule(name=name)
    return changed(rule, values)


def changed(rule: AlertRule, values: Mapping[str, Any]) -> AlertRule:
    """The rule with these fields changed, not saved. Raises ValidationError with what is wrong."""
    for field, value in values.items():
        setattr(rule, field, value)
    if "scope" not in values and "tenant" in values:
        rule.scope = "one_tenant" if rule.tenant else rule.scope
    check(rule)
    return rule


def check(rule: AlertRule) -> None:
    """Whether it can work; that its name is free, or that it is saved, does not matter. Raises ValidationError."""
    rule.clean_fields(exclude=["name"])
    rule.clean()
