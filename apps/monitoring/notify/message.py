"""What a notification says, as a value: numbers and ids only, never a customer's text."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from apps.monitoring.core.rules import condition, stretch

VERSION: Final = 1
WORST: Final = 10
"""Tenants named in one notification; the count says how many there are."""
_PLACEHOLDER: Final = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, slots=True)
class RuleFacts:
    """The rule as it was when it decided."""

    name: str
    metric: str
    statistic: str
    operator: str
    threshold: float
    unit: str
    window_minutes: int
    severity: str
    runbook_url: str
    change_against: str = ""
    budget: str = ""

    @property
    def window(self) -> int:
        """As a rule calls it."""
        return self.window_minutes


@dataclass(frozen=True, slots=True)
class AlertFacts:
    """One tenant of the notification; tenant None is all together. ``since`` is ISO 8601."""

    tenant: str | None
    value: float | None
    samples: int
    since: str
    reason: str
    links: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Message:
    """The payload, versioned: what webhooks receive as JSON and every other channel renders."""

    id: str
    kind: str
    rule: RuleFacts
    minute: str
    count: int
    alerts: Sequence[AlertFacts]
    text: str
    links: Mapping[str, str]
    version: int = VERSION

    @classmethod
    def from_payload(cls, payload: Mapping[str, Any]) -> Message:
        """Read a stored payload back."""
        return cls(
            **{
                **payload,
                "rule": RuleFacts(**payload["rule"]),
                "alerts": [AlertFacts(**alert) for alert in payload["alerts"]],
            }
        )

    def payload(self) -> dict[str, Any]:
        """Ready for JSON."""
        return asdict(self)

    @property
    def whom(self) -> str:
        """The tenant, or how many there are."""
        return printable(self.alerts[0].tenant or "all tenants") if self.count == 1 else f"{self.count} tenants"

    @property
    def subject(self) -> str:
        """One line without control characters: who, what, how bad."""
        return printable(f"[{self.rule.severity}] {self.rule.name} {self.kind} for {self.whom}")

    def body(self) -> str:
        """Plain text: why it is sent, and where to look."""
        lines = [self.text, "", f"{self.rule.name} ({self.rule.severity}): {condition(self.rule)}; minute {self.minute}"]
        lines += [_line(alert) for alert in self.alerts]
        if self.count > len(self.alerts):
            lines.append(f"  … and {self.count - len(self.alerts)} more")
        lines += ["", *(f"{name}: {url}" for name, url in self.links.items() if url)]
        return "\n".join(lines)


def _line(alert: AlertFacts) -> str:
    whom = printable(alert.tenant or "all tenants")
    return f"  {whom}: {alert.reason} ({alert.samples} samples, since {alert.since})"


def printable(text: str) -> str:
    """The text on one line: a tenant's name cannot add a line to a mail, or a header."""
    return "".join(c if c.isprintable() else " " for c in text)


def render(template: str, rule: RuleFacts, kind: str, count: int, worst: AlertFacts) -> str:
    """The sentence of a notification: the rule's own template, else the condition.

    Only plain names are replaced, and each once: a template cannot reach into attributes of what it is given, and a
    tenant called "{value}" stays what it is.
    """
    whom = printable(worst.tenant or "all tenants") if count == 1 else f"{count} tenants"
    if not template:
        return f"{rule.name} is {kind} for {whom}: {condition(rule)}."
    known = {
        "rule": rule.name,
        "tenant": whom,
        "value": "no value" if worst.value is None else f"{worst.value:g}",
        "threshold": f"{rule.threshold:g}",
        "samples": str(worst.samples),
        "window": stretch(rule),
        "severity": rule.severity,
    }
    return _PLACEHOLDER.sub(lambda match: known.get(match[1], match[0]), template)
