"""Stands where the monitor stands: writes down what the demo agent tells it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from apps.monitoring.demo.incidents import INCIDENTS, Outbreak
from apps.monitoring.demo.parameters import TENANTS
from apps.monitoring.demo.traffic import Traffic

START = 1_767_571_200.0
"""2026-01-05T00:00:00Z, a whole minute."""


@dataclass(frozen=True)
class Told:
    """One call of the monitor."""

    method: str
    tenant: str
    said: dict[str, Any]

    @property
    def minute(self) -> int:
        """The minute it counts in, from the start."""
        return int((self.said["timestamp"] - START) // 60)


@dataclass(frozen=True)
class Scribe:
    """The monitor of one tenant."""

    tenant: str
    ledger: list[Told]

    def __getattr__(self, method: str) -> Callable[..., None]:
        def tell(*positional: object, **said: object) -> None:
            self.ledger.append(Told(method, self.tenant, {**said, "positional": positional}))

        return tell


@dataclass
class Ledger:
    """Everything told, in order."""

    calls: list[Told] = field(default_factory=list)

    def monitor(self, tenant: str) -> Any:
        return Scribe(tenant, self.calls)

    def of(self, what: str, tenant: str | None = None) -> list[Told]:
        """The calls of one method, by the end of its name."""
        return [told for told in self.calls if told.method.endswith(what) and tenant in {None, told.tenant}]


def minutes_of_traffic(
    seed: int, minutes: int = 30, *, rate: float = 90, tenants: tuple[str, ...] = TENANTS, outbreak: Outbreak | None = None
) -> tuple[Ledger, Traffic]:
    ledger = Ledger()
    traffic = Traffic(rate=rate, seed=seed, tenants=tenants, outbreak=outbreak, monitors=ledger.monitor)
    for _ in traffic.run(START, START + 60 * minutes):
        pass
    return ledger, traffic


def outbreak_of(name: str, minute: float, minutes: float, tenant: str = "airline") -> Outbreak:
    return Outbreak(INCIDENTS[name], tenant, START + 60 * minute, START + 60 * (minute + minutes))
