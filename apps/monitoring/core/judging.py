"""One minute of one rule: every tenant judged, its state stepped. Evaluation, backtest and explain all ask here."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from apps.monitoring.core import lifecycle
from apps.monitoring.core.lifecycle import Event, State
from apps.monitoring.core.rules import Rule, Verdict, judge
from apps.monitoring.core.silences import Hold, open_to_all


@dataclass(frozen=True, slots=True)
class Measured:
    """What a rule sees for one tenant; None without samples."""

    value: float | None
    samples: int


NOTHING: Final = Measured(None, 0)


@dataclass(frozen=True, slots=True)
class Judged:
    """What one minute did to one tenant."""

    tenant: str
    before: State
    after: State
    verdict: Verdict
    events: list[Event]


def judge_minute(
    rule: Rule,
    measured: Mapping[str, Measured],
    states: Mapping[str, State],
    expected: Collection[str],
    minute: int,
    held: Hold = open_to_all,
) -> list[Judged]:
    """Judge whoever has samples, a state, or should have samples; whoever is calm and has no state is left out.

    ``held`` says for each tenant why nobody may be notified in this minute.
    """
    found: list[Judged] = []
    for tenant in sorted({*measured, *states, *expected}):
        seen = measured.get(tenant, NOTHING)
        verdict = judge(rule, seen.value, seen.samples)
        before = states.get(tenant)
        if before is None:
            if not verdict.breach:
                continue
            before = lifecycle.NEW
        after, events = lifecycle.step(rule, before, verdict, minute, held(tenant))
        found.append(Judged(tenant, before, after, verdict, events))
    return found


def end_all(states: Mapping[str, State], reason: str, held: Hold = open_to_all) -> list[Judged]:
    """End what the rule has open for these tenants, because it judges it no longer; the reason says why."""
    found: list[Judged] = []
    for tenant, before in sorted(states.items()):
        after, events = lifecycle.end(before, reason, held(tenant))
        found.append(Judged(tenant, before, after, Verdict(None, 0, breach=False, recovered=True, reason=reason), events))
    return found
