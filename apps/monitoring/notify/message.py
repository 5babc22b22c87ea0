"""What a notification says, as a value: numbers and ids only, never a customer's text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from apps.monitoring.core.rules import compared, compared_in_words, condition

VERSION: Final = 1
WORST: Final = 10
"""Tenants named in one notification; the count says how many there are."""


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
        return self.whose(self.alerts[0]) if self.count == 1 else f"{self.count} tenants"

    @property
    def is_test(self) -> bool:
        """It has no rule, no value and no tenant to tell of."""
        return self.kind == "test"

    @property
    def subject(self) -> str:
        """One line without control characters: who, what, how bad."""
        if self.is_test:
            return printable(f"[test] {self.alerts[0].reason}")
        return printable(f"[{self.rule.severity}] {self.rule.name} {self.kind} for {self.whom}")

    @property
    def title(self) -> str:
        """The subject, and while it is true the condition: for a receiver that shows nothing else."""
        return self.subject if self.is_test or self.is_over else f"{self.subject}: {condition(self.rule)}"

    @property
    def headline(self) -> str:
        """The title of a page that tells of it."""
        return self.alerts[0].reason if self.is_test else f"{self.rule.name} {standing(self.kind)}"

    @property
    def is_over(self) -> bool:
        """Whether what it tells of is no longer so."""
        return self.kind == "resolved"

    def body(self) -> str:
        """Plain text: why it is sent, and where to look."""
        lines = [self.text]
        if not self.is_test:
            lines += ["", f"Rule {self.rule.name} ({self.rule.severity}): {condition(self.rule)}; minute {self.minute}"]
            lines += [f"  {self.whose(alert)}: {self.why(alert)} ({self.origin(alert)})" for alert in self.alerts]
        if self.count > len(self.alerts):
            lines.append(f"  … and {self.count - len(self.alerts)} more")
        lines += ["", *(f"{name}: {url}" for name, url in self.links.items() if url)]
        return "\n".join(lines)

    def rows(self) -> list[tuple[AlertFacts, str]]:
        """Each alert that it names, with why."""
        return [(alert, self.why(alert)) for alert in self.alerts]

    def whose(self, alert: AlertFacts) -> str:
        """The tenant of one of its alerts."""
        return printable(alert.tenant or "all tenants")

    def why(self, alert: AlertFacts) -> str:
        """The reason, with what was compared as people read it; the payload has plain numbers, as the history has."""
        if alert.value is None:
            return alert.reason
        return alert.reason.replace(compared(self.rule, alert.value), compared_in_words(self.rule, alert.value), 1)

    def origin(self, alert: AlertFacts) -> str:
        """What the value is made of, and when it began."""
        samples = "1 sample" if alert.samples == 1 else f"{alert.samples} samples"
        return f"{samples}, {'it began at' if self.is_over else 'since'} {alert.since}"


def standing(kind: str) -> str:
    """What a notification says of its rule, such as "is still firing"."""
    return f"is {'still firing' if kind == 'reminder' else kind}"


def printable(text: str) -> str:
    """The text on one line: a tenant's name cannot add a line to a mail, or a header."""
    return "".join(c if c.isprintable() else " " for c in text)
