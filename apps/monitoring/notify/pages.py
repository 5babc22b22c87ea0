"""The addresses of our own pages in a message."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from urllib.parse import quote, urlencode

from django.conf import settings

from apps.monitoring.core import duration
from apps.monitoring.notify.message import RuleFacts
from apps.monitoring.query import window

_AROUND: Final = 2
"""Windows of the rule that the dashboard shows: what it judged, and what was before."""


def dashboard(tenant: str | None = None, shown: str = "") -> str:
    """The dashboard of a tenant, None and "" being all together, over one of its windows."""
    asked = {name: value for name, value in (("tenant", tenant), ("window", shown)) if value}
    page = f"{settings.MONITORING_BASE_URL}/dashboard/"
    return f"{page}?{urlencode(asked, quote_via=quote)}" if asked else page


def admin(model: str, number: int) -> str:
    """The page of a row in the admin."""
    return f"{settings.MONITORING_BASE_URL}/admin/monitoring/{model}/{number}/change/"


def about(rule: RuleFacts, tenant: str | None, alert: int | None) -> dict[str, str]:
    """Where to look when a rule tells of one tenant."""
    links = {"dashboard": dashboard(tenant, _shown(rule))}
    return links if alert is None else {**links, "alert": admin("alert", alert)}


def about_all(rule: RuleFacts, told: Sequence[tuple[str, int | None]]) -> dict[str, str]:
    """Where to look when it tells of several, each with its alert; of one it is that one's pages."""
    return about(rule, *told[0]) if len(told) == 1 else {"dashboard": dashboard(shown=_shown(rule))}


def _shown(rule: RuleFacts) -> str:
    """The shortest window of the dashboard in which one sees what the rule saw."""
    longest = window.OFFERED[-1]
    if rule.budget:
        return longest
    wanted = _AROUND * rule.window_minutes
    return next((name for name in window.OFFERED if duration.parse(name) >= wanted), longest)
