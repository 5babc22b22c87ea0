"""From the history to the notifications that every channel must receive."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tests.oracle.timeline import Line


@dataclass(frozen=True, order=True)
class Notice:
    """One notification: everything that a rule says of one kind in one minute, however many tenants it is about."""

    minute: int
    rule: str
    kind: str
    tenants: tuple[str, ...]


def notices(history: Iterable[Line]) -> list[Notice]:
    """In the order of their minutes."""
    groups: dict[tuple[int, str, str], list[str]] = {}
    for line in history:
        if line.kind is not None:
            groups.setdefault((line.minute, line.rule, line.kind), []).append(line.tenant)
    return sorted(Notice(*group, tuple(sorted(tenants))) for group, tenants in groups.items())
