"""Minute by minute: what each rule sees, what becomes of its alert, and what is said about it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from tests.oracle.recording import Interaction, by_tenant
from tests.oracle.rules import COOLDOWN, DEFAULT_RULES, DefaultRule, Seen

FIRING, REMINDER, RESOLVED = "firing", "reminder", "resolved"

OK = "ok"
COOLING = "held back by the cooldown"
UNANNOUNCED = "its firing was never announced"
LATE = "no longer held back"
STILL = "still firing"


@dataclass(frozen=True)
class Line:
    """One line of the history of a rule and tenant. ``kind`` is the notice that goes out, None when none does.

    ``changed`` is False where the state stays and only something is said.
    """

    rule: str
    tenant: str
    minute: int
    state: str
    changed: bool
    value: float | None
    samples: int
    kind: str | None
    why: str

    @property
    def notified(self) -> bool:
        return self.kind is not None


def measurements(rule: DefaultRule, rows: Sequence[Interaction], until: int) -> list[Seen]:
    """What a rule sees of one tenant in each minute before ``until``: the window that ends with the minute."""
    return [rule.measure([row for row in rows if minute - rule.window < row.minute <= minute]) for minute in range(until)]


def history(rows: Iterable[Interaction], until: int) -> list[Line]:
    """Every line that the default rules leave for every tenant when the minutes before ``until`` are judged."""
    return [
        line
        for tenant, own in by_tenant(rows).items()
        for rule in DEFAULT_RULES
        for line in lines(rule, tenant, measurements(rule, own, until))
    ]


def lines(rule: DefaultRule, tenant: str, seen: Sequence[Seen]) -> Iterator[Line]:
    """The life of one alert over the minutes.

    A reminder is a firing notification too: the cooldown starts again with it.
    """
    firing = announced = False
    told: int | None = None
    for minute, (value, samples) in enumerate(seen):
        breached = rule.breached(value)
        free = told is None or minute - told >= COOLDOWN
        outcome: tuple[str, bool, str | None, str] | None = None
        if breached and not firing:
            outcome = (FIRING, True, FIRING, OK) if free else (FIRING, True, None, COOLING)
        elif breached and free:
            outcome = (FIRING, False, REMINDER, STILL) if announced else (FIRING, False, FIRING, LATE)
        elif firing and not breached:
            outcome = (RESOLVED, True, RESOLVED, OK) if announced else (RESOLVED, True, None, UNANNOUNCED)
        if outcome is not None:
            state, changed, kind, why = outcome
            yield Line(rule.name, tenant, minute, state, changed, value, samples, kind, why)
            announced = False if state == RESOLVED else announced or kind is not None
            told = minute if kind in {FIRING, REMINDER} else told
        firing = breached
