"""The sentence of a notification: the rule's own template, else what is so, or no longer is."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from apps.monitoring.core.duration import in_words
from apps.monitoring.core.lifecycle import Notice
from apps.monitoring.core.rules import amount, condition, is_breach, limit, measured, stretch
from apps.monitoring.notify.message import AlertFacts, RuleFacts, printable, standing

_PLACEHOLDER: Final = re.compile(r"\{(\w+)\}")
_DESCRIPTION: Final = 300


@dataclass(frozen=True, slots=True)
class Subject:
    """Whom a sentence is about: so many tenants, and the worst of them.

    ``lasted`` is for how many minutes, at most; 0 is not known. ``is_late``: it ended earlier, and may be otherwise by now.
    """

    count: int
    worst: AlertFacts
    lasted: int = 0
    is_late: bool = False

    @property
    def whom(self) -> str:
        """The tenant, or how many there are."""
        return printable(self.worst.tenant or "all tenants") if self.count == 1 else f"{self.count} tenants"


def render(template: str, rule: RuleFacts, kind: str, about: Subject, description: str = "") -> str:
    """The sentence, and after one that begins something what its rule is for."""
    said = _filled(template, rule, about) if template else _plainly(rule, kind, about)
    explained = _first_line(description) if kind == Notice.FIRING else ""
    return said if explained in said else f"{said} {explained}"


def _filled(template: str, rule: RuleFacts, about: Subject) -> str:
    """The rule's own template. Its numbers are plain, for it has words of its own for the unit.

    Only plain names are replaced, and each once: a template cannot reach into attributes of what it is given, and a tenant
    called "{value}" stays what it is.
    """
    worst = about.worst
    known = {
        "rule": rule.name,
        "tenant": about.whom,
        "value": "no value" if worst.value is None else f"{worst.value:g}",
        "threshold": f"{rule.threshold:g}",
        "samples": str(worst.samples),
        "window": stretch(rule),
        "severity": rule.severity,
    }
    return _PLACEHOLDER.sub(lambda match: known.get(match[1], match[0]), template)


def _plainly(rule: RuleFacts, kind: str, about: Subject) -> str:
    if kind == Notice.RESOLVED:
        what = f"{_ended(rule, about)}{_lasted(about)}"
    else:  # without a value it was no comparison that began it
        what = about.worst.reason if about.worst.value is None else condition(rule)
    return f"{rule.name} {standing(kind)} for {about.whom}: {what}."


def _ended(rule: RuleFacts, about: Subject) -> str:
    """How it is now, as far as that is known; of several tenants how it was is all that is true of each."""
    value = about.worst.value
    if about.count > 1:
        return f"{measured(rule)} was {limit(rule)} over {stretch(rule)}"
    if value is None or about.is_late or is_breach(rule, value):
        return about.worst.reason
    return f"{measured(rule)} is {amount(rule, value)}, no longer {limit(rule)} over {stretch(rule)}"


def _lasted(about: Subject) -> str:
    if not about.lasted:
        return ""
    return f"; {'it' if about.count == 1 else 'the longest'} lasted {in_words(about.lasted)}"


def _first_line(description: str) -> str:
    line = printable(description.strip().partition("\n")[0]).strip()
    return line if len(line) <= _DESCRIPTION else line[: _DESCRIPTION - 1] + "…"
