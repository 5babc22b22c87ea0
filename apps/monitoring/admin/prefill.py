"""A new rule that begins with what somebody looked at: the address of the form says of which metric, and of whom."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import count
from typing import Any, Final

from django.utils.text import slugify

from apps.monitoring.catalogue import RATIOS
from apps.monitoring.core.rules import Operator, Rule, Scope, Statistic
from apps.monitoring.core.soundness import problems
from apps.monitoring.models import AlertRule, Series

_FIELDS: Final = ("metric", "statistic", "operator", "threshold", "window_minutes", "tenant", "scope")
_NAME: Final = 90
_SHOWN: Final = 40


def initial(query: Mapping[str, str]) -> tuple[dict[str, Any], list[str]]:
    """What the fields begin with, and what is wrong with the rest: an address may be an old one, or made up."""
    given: dict[str, Any] = {field: query[field] for field in _FIELDS if query.get(field)}
    if not given:
        return {}, []
    if given.get("scope") not in {None, *Scope}:
        del given["scope"]
    wrong = [*_read(given), *_check(given)]
    given.update(_scope(given))
    if "metric" in given:
        given["name"] = _name(given)
    return given, wrong


def _read(given: dict[str, Any]) -> list[str]:
    """Numbers as numbers; what is none is left out, and so is a tenant of whom nothing is known."""
    wrong: list[str] = []
    for field, kind in (("threshold", float), ("window_minutes", int)):
        if field in given:
            text = given.pop(field)
            try:
                given[field] = kind(text)
            except ValueError:
                wrong.append(f"{field} is no number: {text[:_SHOWN]!r}")
    tenant = given.get("tenant")
    if tenant and ("\0" in tenant or not Series.objects.filter(tenant=tenant).exists()):
        wrong.append(f"nothing was ever recorded for tenant {given.pop('tenant')[:_SHOWN]!r}")
    return wrong


def _check(given: dict[str, Any]) -> list[str]:
    """What a rule would be refused for is left out."""
    metric = given.setdefault("metric", "")
    given.setdefault("statistic", (Statistic.RATIO if metric in RATIOS else Statistic.COUNT).value)
    given.setdefault("operator", Operator.GT.value)
    rule = Rule(
        name="",
        metric=metric,
        statistic=given["statistic"],
        operator=given["operator"],
        threshold=given.get("threshold", 0.0),
        window=given.get("window_minutes", 5),
        scope=Scope(_scope(given).get("scope", Scope.EVERY_TENANT)),
        tenant=given.get("tenant", ""),
    )
    found = {field: text for field, text in problems(rule).items() if field in given}
    for field in found:
        del given[field]
    return list(found.values())


def _scope(given: Mapping[str, Any]) -> dict[str, str]:
    """Who looks at a tenant means this one; who looks at all together does not mean each of them."""
    if given.get("tenant"):
        return {"scope": Scope.ONE_TENANT.value}
    return {"scope": Scope.GLOBAL.value} if given.get("scope") == Scope.GLOBAL else {}


def _name(given: Mapping[str, Any]) -> str:
    """What it is of, and a number when that is taken."""
    parts = (
        given["metric"],
        "" if given.get("statistic") == Statistic.RATIO else given.get("statistic", ""),
        given.get("tenant", ""),
    )
    name = slugify("-".join(part.replace("_", "-").replace(".", "-") for part in parts if part))[:_NAME] or "rule"
    taken = set(AlertRule.objects.filter(name__startswith=name).values_list("name", flat=True))
    return next(one for number in count(1) if (one := name if number == 1 else f"{name}-{number}") not in taken)
