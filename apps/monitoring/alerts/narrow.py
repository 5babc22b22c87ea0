"""What a rule sees of some tenants: as much as it sees of them among all."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

from apps.monitoring.alerts.sweep import Database, Source
from apps.monitoring.core.rules import Rule, Scope
from apps.monitoring.query.minutes import Stored


class OfTenants:
    """A source of some tenants ("" is all together). Whom the rule does not judge is not in it."""

    def __init__(self, tenants: Collection[str], source: Source | None = None) -> None:
        self._tenants, self._source = frozenset(tenants), source or Database()
        self._asks_for_one = source is None and len(self._tenants) == 1

    def series(self, rule: Rule, metric: str) -> dict[int, str]:
        """Their own."""
        if self._asks_for_one:
            rule = of_tenant(rule, *self._tenants)
        found = self._source.series(rule, metric)
        return {number: tenant for number, tenant in found.items() if tenant in self._tenants}

    def known(self, rule: Rule, start: int) -> dict[str, int]:
        """Whether they are judged without samples is asked of the rule as it is: who was unknown then is not."""
        return {tenant: since for tenant, since in self._source.known(rule, start).items() if tenant in self._tenants}

    def read(self, series: Collection[int], with_data: Collection[int], start: int, end: int) -> Mapping[int, Stored]:
        """As the source reads."""
        return self._source.read(series, with_data, start, end)


class Asked(Database):
    """What is stored, for one rule that is swept over several times: who there is, is asked once."""

    def __init__(self) -> None:
        self._series: dict[str, dict[int, str]] = {}
        self._known: dict[int, dict[str, int]] = {}

    def series(self, rule: Rule, metric: str) -> dict[int, str]:
        """As it was when it was first asked."""
        if metric not in self._series:
            self._series[metric] = super().series(rule, metric)
        return self._series[metric]

    def known(self, rule: Rule, start: int) -> dict[str, int]:
        """As it was when it was first asked."""
        if start not in self._known:
            self._known[start] = super().known(rule, start)
        return self._known[start]


def of_tenant(rule: Rule, tenant: str) -> Rule:
    """A rule that measures one of every tenant."""
    return replace(rule, scope=Scope.ONE_TENANT, tenant=tenant) if rule.scope == Scope.EVERY_TENANT else rule
