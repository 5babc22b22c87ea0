"""What holds notifications back for a while: silences, by rule, tenant and severity. States go on as if there were none.

A minute is told when it has ended. So a silence of ``[starts, ends)`` holds back what would be told then: the minutes that
end in it. All of it is data time: a run that catches up finds the silences that an undisturbed one would have found.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from apps.monitoring.core.clock import isoformat

Hold = Callable[[str], str | None]
"""Why nobody may be notified of a tenant ("" is all together) in a minute; None when they may."""


def open_to_all(tenant: str) -> None:
    """Nothing is held back."""


@dataclass(frozen=True, slots=True)
class Matchers:
    """What is meant; each must match, and an empty one matches everything. ``name*`` is whatever begins with ``name``."""

    rules: tuple[str, ...] = ()
    tenants: tuple[str, ...] = ()
    severities: tuple[str, ...] = ()

    def concern(self, rule: str, severity: str) -> bool:
        """Whether some tenant of the rule could be meant."""
        return _matches(self.rules, rule) and _matches(self.severities, severity)

    def mean(self, tenant: str) -> bool:
        """Whether a tenant is meant, of a rule that is."""
        return _matches(self.tenants, tenant)

    def __str__(self) -> str:
        named = {"rule": self.rules, "tenant": self.tenants, "severity": self.severities}
        return "; ".join(f"{what} {' or '.join(names)}" for what, names in named.items() if names)


@dataclass(frozen=True, slots=True)
class Quiet:
    """Something that holds back in the minute that is judged, and how the history calls it."""

    reason: str
    matchers: Matchers


@dataclass(frozen=True, slots=True)
class Silence:
    """Holds back what would be told in the minutes ``[starts, ends)``."""

    number: int
    matchers: Matchers
    starts: int
    ends: int

    def quiet(self, minute: int) -> Quiet | None:
        """What it holds back of a judged minute; None when it is not in force when the minute has ended."""
        if not self.starts <= minute + 1 < self.ends:
            return None
        return Quiet(f"silence {self.number} until {isoformat(self.ends)}", self.matchers)


def hold(quiets: Sequence[Quiet], rule: str, severity: str) -> Hold:
    """What holds back the notifications of one rule, for each tenant; the first that means it gives the reason."""
    own = [quiet for quiet in quiets if quiet.matchers.concern(rule, severity)]
    if not own:
        return open_to_all

    def reason(tenant: str) -> str | None:
        return next((quiet.reason for quiet in own if quiet.matchers.mean(tenant)), None)

    return reason


def _matches(names: tuple[str, ...], name: str) -> bool:
    return not names or any(name.startswith(one[:-1]) if one.endswith("*") else one == name for one in names)
