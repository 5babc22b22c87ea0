"""What a rule sees of one tenant: as much as it sees of it among all of them."""

from __future__ import annotations

from dataclasses import replace

from apps.monitoring.alerts.sweep import Database
from apps.monitoring.core.rules import Rule, Scope


class OfTenant(Database):
    """What is stored of one tenant ("" is all together), and nothing of others."""

    def __init__(self, tenant: str) -> None:
        self._tenant = tenant

    def series(self, rule: Rule, metric: str) -> dict[int, str]:
        """Its own; none when the rule does not judge it."""
        found = super().series(of_tenant(rule, self._tenant), metric)
        return {number: tenant for number, tenant in found.items() if tenant == self._tenant}

    def known(self, rule: Rule, start: int) -> dict[str, int]:
        """Whether it is judged without samples is asked of the rule as it is: a tenant that was unknown then is not."""
        return {tenant: since for tenant, since in super().known(rule, start).items() if tenant == self._tenant}


def of_tenant(rule: Rule, tenant: str) -> Rule:
    """A rule that measures one of every tenant."""
    return replace(rule, scope=Scope.ONE_TENANT, tenant=tenant) if rule.scope == Scope.EVERY_TENANT else rule
