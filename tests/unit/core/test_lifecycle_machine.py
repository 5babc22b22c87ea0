"""The laws of the alert's life, over sequences that nobody thought of."""

from __future__ import annotations

import itertools
import json
from dataclasses import asdict, replace

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from apps.monitoring.core import lifecycle
from apps.monitoring.core.lifecycle import Event, Notice, State, Status
from apps.monitoring.core.rules import Rule, Verdict, judge, rank

NEXT = {
    Status.INACTIVE: {Status.PENDING, Status.FIRING},
    Status.PENDING: {Status.INACTIVE, Status.FIRING},
    Status.FIRING: {Status.RESOLVED},
    Status.RESOLVED: {Status.PENDING, Status.FIRING},
}


class LifeOfAnAlert(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.rule = Rule(name="r", metric="response_time", statistic="p95", operator="gt", threshold=100.0)
        self.state = lifecycle.NEW
        self.minute = 29_000_000
        self.verdicts: list[Verdict] = []
        self.notices: list[tuple[int, Notice]] = []
        self.last = Status.INACTIVE
        self.episode = 0
        """How many there were; the one that fires is the last."""
        self.open: list[int] = []
        """Those that were announced and of whose end nobody was told, oldest first."""
        self.over: set[int] = set()

    @initialize(
        pending=st.integers(0, 3),
        keep=st.integers(0, 3),
        cooldown=st.sampled_from([0, 1, 3, 7]),
        recovery=st.sampled_from([None, 80.0]),
        no_data=st.sampled_from(["ok", "keep", "alert"]),
    )
    def begin(self, pending: int, keep: int, cooldown: int, recovery: float | None, no_data: str) -> None:
        self.rule = replace(
            self.rule,
            pending_for=pending,
            keep_firing_for=keep,
            cooldown=cooldown,
            recovery_threshold=recovery,
            no_data=no_data,
        )

    @rule(
        value=st.sampled_from([101.0, 101.0, 101.0, 90.0, 50.0, None]),
        held=st.sampled_from([None, None, "silence"]),
        severity=st.sampled_from(["warning", "warning", "info", "critical"]),
        heard=st.sampled_from([True, True, True, False]),
        acknowledge=st.sampled_from([False, False, True]),
    )
    def judge_a_minute(self, value: float | None, held: str | None, severity: str, *, heard: bool, acknowledge: bool) -> None:
        if acknowledge and self.state.status is Status.FIRING:
            self.state = replace(self.state, acknowledged=self.rule.severity)
        self.rule = replace(self.rule, severity=severity, heard=heard)
        verdict = judge(self.rule, value, 10 if value is not None else 0)
        self.verdicts.append(verdict)
        before = self.state
        self.state, events = lifecycle.step(self.rule, before, verdict, self.minute, held)
        # The same from what a store keeps, and the same again.
        assert lifecycle.step(self.rule, stored(before), verdict, self.minute, held) == (self.state, events)
        # Who is not asked because nothing can happen would have said nothing.
        if lifecycle.stays(self.rule, before, self.minute, breach=verdict.breach):
            assert (self.state, events) == (before, [])
            assert not before.is_idle(self.minute, self.rule.cooldown)
        for event in events:
            self.note(event, held)
        self.check_what_follows(held)
        self.check_acknowledgement(before, events, held)
        self.minute += 1

    def check_acknowledgement(self, before: State, events: list[Event], held: str | None) -> None:
        """It lasts until the end or a rise in severity, which is told at once or when the cooldown is over."""
        if self.state.status is not Status.FIRING or not before.acknowledged:
            return
        notices = [event.notice for event in events]
        assert Notice.REMINDER not in notices or not self.state.acknowledged
        rose = rank(self.rule.severity) > rank(before.acknowledged)
        if not rose or held is not None or not self.rule.heard:
            assert self.state.acknowledged == before.acknowledged
            assert self.state.announced == before.announced
            return
        cooling = before.notified_at is not None and self.minute - before.notified_at < self.rule.cooldown
        told = [event.notice for event in events if event.state is Status.FIRING]
        if before.announced:
            assert told == [None if cooling else Notice.REMINDER]
        else:
            assert told == ([] if cooling else [Notice.FIRING])
        assert self.state.acknowledged == ("" if told else before.acknowledged)

    def note(self, event: Event, held: str | None) -> None:
        assert event.reason
        if event.changed:
            assert event.state in NEXT[self.last]
            self.last = event.state
            if event.state is Status.FIRING:
                assert self.breach_lasted()
            if event.state is Status.RESOLVED:
                assert self.recovery_lasted()
        self.tell(event, held)

    def tell(self, event: Event, held: str | None) -> None:
        """What is told is about an episode: the one that fires or has just ended, or, late, the one whose end is owed."""
        if event.changed and event.state is Status.FIRING:
            self.episode += 1
        if event.changed and event.state is Status.RESOLVED:
            self.over.add(self.episode)
        if event.notice is None:
            return
        assert held is None
        self.notices.append((self.minute, event.notice))
        match event.notice:
            case Notice.FIRING:
                assert self.rule.heard
                assert self.open == []  # whatever was announced before is told to have ended
                self.open.append(self.episode)
            case Notice.REMINDER:
                assert self.rule.heard
                assert self.open == [self.episode]
            case Notice.RESOLVED:
                assert self.open.pop(0) in self.over
                assert event.late == (not event.changed)

    def breach_lasted(self) -> bool:
        """Some minute at least `for` ago breached, and nothing since then said otherwise."""
        earlier = self.verdicts[: len(self.verdicts) - self.rule.pending_for]
        since = self.verdicts[len(self.verdicts) - self.rule.pending_for :]
        silent = [v for v in earlier if v.breach or v.value is not None or v.recovered]
        return (
            self.verdicts[-1].breach
            and all(v.breach or (v.value is None and not v.recovered) for v in since)
            and bool(silent)
            and silent[-1].breach
        )

    def recovery_lasted(self) -> bool:
        since = self.verdicts[len(self.verdicts) - self.rule.keep_firing_for :]
        return self.verdicts[-1].recovered and not any(v.breach for v in since)

    def check_what_follows(self, held: str | None) -> None:
        lately = self.verdicts[-self.rule.pending_for - 1 :]
        if len(lately) > self.rule.pending_for and all(v.breach for v in lately):
            assert self.state.status is Status.FIRING
        if held is not None:
            return
        if self.state.status is Status.FIRING:
            told = self.state.notified_at
            cooling = told is not None and self.minute - told < self.rule.cooldown
            looked_after = self.state.acknowledged and rank(self.rule.severity) <= rank(self.state.acknowledged)
            assert self.state.announced or cooling or looked_after or not self.rule.heard
        assert not self.state.owed

    @precondition(lambda self: self.state.is_idle(self.minute, self.rule.cooldown))
    @rule()
    def forget(self) -> None:
        self.state = lifecycle.NEW

    @rule(held=st.sampled_from([None, None, "silence"]))
    def the_rule_is_changed(self, held: str | None) -> None:
        before = self.state
        self.state, events = lifecycle.end(before, "the rule was changed", held)
        for event in events:
            if event.changed:
                assert event.state is (Status.RESOLVED if before.status is Status.FIRING else Status.INACTIVE)
                self.last = event.state
            self.tell(event, held)
            assert event.notice in {None, Notice.RESOLVED}
        assert self.state.status is Status.INACTIVE
        assert self.state.notified_at == before.notified_at
        assert self.state.owed == ((before.owed or before.announced) and held is not None)
        self.verdicts.clear()
        self.minute += 1

    @rule(minutes=st.integers(1, 9))
    def nothing_is_judged_for_a_while(self, minutes: int) -> None:
        if self.state == lifecycle.NEW:
            self.minute += minutes
            self.verdicts.clear()

    @invariant()
    def the_state_knows_what_is_announced_and_what_is_owed(self) -> None:
        announced = self.state.status is Status.FIRING and self.state.announced
        ended = [episode for episode in self.open if episode in self.over]
        assert (bool(ended), len(self.open)) == (self.state.owed, int(announced) + int(self.state.owed))
        assert not (announced and self.state.owed)

    @invariant()
    def nobody_is_told_twice_within_a_cooldown(self) -> None:
        told = [minute for minute, notice in self.notices if notice is not Notice.RESOLVED]
        assert all(later - earlier >= self.rule.cooldown for earlier, later in itertools.pairwise(told))


def stored(state: State) -> State:
    kept = json.loads(json.dumps(asdict(state)))
    return State(**{**kept, "status": Status(kept["status"])})


TestLifeOfAnAlert = LifeOfAnAlert.TestCase
TestLifeOfAnAlert.settings = settings(max_examples=300, stateful_step_count=60, deadline=None, database=None)
