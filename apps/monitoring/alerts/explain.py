"""What a rule saw of a tenant in a minute, and why it did or did not notify; from the functions that evaluate.

The state before the minute is nowhere stored. It is found by judging the minutes before anew, from where the history says that
all was calm: see `core.course`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final

from django.db.models import Q

from apps.monitoring.alerts.backtest import earliest
from apps.monitoring.alerts.explanation import Delivery, Explanation
from apps.monitoring.alerts.judgings import Judgings, When, due
from apps.monitoring.alerts.measure import Windows
from apps.monitoring.alerts.narrow import of_tenant
from apps.monitoring.alerts.retrace import FARTHEST, Retrace
from apps.monitoring.alerts.versions import Edit, Version, at, versions
from apps.monitoring.conf import conf
from apps.monitoring.core.clock import isoformat, to_datetime, to_minute
from apps.monitoring.core.course import Past, told
from apps.monitoring.core.judging import NOTHING
from apps.monitoring.core.lifecycle import UNHEARD
from apps.monitoring.core.period import Period, bounds
from apps.monitoring.core.rules import Rule, Scope, stretch
from apps.monitoring.core.series import GLOBAL
from apps.monitoring.models import (
    Alert,
    AlertRule,
    AuditEntry,
    EvaluationProgress,
    Notification,
    Series,
)
from apps.monitoring.query.errors import NotJudgedError, QuestionError, RangeError, UnknownRuleError, UnknownTenantError
from apps.monitoring.query.source import watermark

_SAME: Final = 1e-9
_AFTER: Final = timedelta(microseconds=1)


def named(name: str) -> AlertRule:
    """The rule of a name. Raises UnknownRuleError, which says what became of one that was deleted."""
    rule = AlertRule.objects.filter(name=name).first()
    if rule is not None:
        return rule
    deleted = AuditEntry.objects.filter(kind=AuditEntry.Kind.RULE, name=name, action=AuditEntry.Action.DELETED).first()
    if deleted is not None:
        when = f"{deleted.at:%Y-%m-%dT%H:%M:%SZ}"
        msg = f"rule {name!r} was deleted at {when} by {deleted.actor or 'code'}: the history in the admin keeps its lines"
        raise UnknownRuleError(msg)
    known = ", ".join(AlertRule.objects.values_list("name", flat=True)) or "none"
    msg = f"there is no rule {name!r} (there are: {known})"
    raise UnknownRuleError(msg)


def explain(rule: AlertRule, tenant: str | None, minute: int) -> Explanation:
    """Everything about one minute; tenant None is the one that the rule judges, or all together.

    Raises QuestionError when the rule judges somebody else, UnknownTenantError, NotJudgedError when the minute is not
    judged yet, RangeError when it is not kept any more.
    """
    _check_judged(minute)
    found, judgings = versions(rule), Judgings.read(minute - FARTHEST, minute)
    own = _explained(rule, found, judgings, tenant, minute)
    when = judgings.of(minute)
    if own.differences and not when.is_known:
        # It may have been judged later, and by the rule as it was then: the history tells.
        for later in found:
            if not when.saw(later.since):
                other = _explained(rule, found, judgings.assuming(minute, later.since + _AFTER), tenant, minute)
                if not other.differences:
                    return other
    return own


def _explained(rule: AlertRule, found: Sequence[Version], judgings: Judgings, tenant: str | None, minute: int) -> Explanation:
    when = judgings.of(minute)
    version = at(found, when)
    definition = version.rule.definition()
    whom = _whom(definition, tenant)
    first = earliest(definition)
    if minute < first:
        msg = (
            f"a rule on {stretch(definition)} is explained from {isoformat(first)} on: older minutes are not kept one by one; "
            "the history in the admin keeps what happened"
        )
        raise RangeError(msg)
    seen = Windows(minute).measure(of_tenant(definition, whom)).get(whom, NOTHING)
    course = Retrace(found, judgings, whom, minute)
    before, judged = course.run(seen)
    lines = course.lines.get(minute, [])
    return Explanation(
        rule=definition,
        enabled=version.rule.enabled,
        is_made=version.is_made,
        when=when,
        tenant=whom,
        minute=minute,
        looked_at=list(_looked_at(definition, minute)),
        seen=seen,
        before=before,
        begun=course.begun,
        judged=judged,
        hold=course.hold(version, minute)
        or next((line.hold for line in lines if line.hold), None)
        or (None if course.heard(version, minute) else UNHEARD),
        deliveries=_deliveries(rule, whom, minute),
        history=lines,
        differences=_differences(told(judged, minute), lines),
        edits=[one.edit for one in found[1:] if not when.saw(one.since) and one.edit is not None],
        remarks=[*_remarks(rule, found, course, minute, when), *course.remarks(version, minute)],
    )


def _check_judged(minute: int) -> None:
    until = watermark(conf().shards)
    if until is None:
        raise NotJudgedError("no minute is rolled up yet: there is nothing to explain")
    if minute >= until:
        msg = f"minute {isoformat(minute)} is not judged yet: minutes are complete until {isoformat(until)}"
        raise NotJudgedError(msg)
    progress = EvaluationProgress.objects.first()
    if progress is None or minute >= to_minute(progress.next_minute):
        where = "it has not begun" if progress is None else f"it has come to {isoformat(to_minute(progress.next_minute))}"
        msg = f"minute {isoformat(minute)} is complete, and not judged yet: the evaluation is behind, {where}"
        raise NotJudgedError(msg)


def _whom(rule: Rule, tenant: str | None) -> str:
    match Scope(rule.scope):
        case Scope.GLOBAL:
            if tenant:
                raise QuestionError(f"rule {rule.name} judges all tenants together: leave the tenant out")
            return GLOBAL
        case Scope.ONE_TENANT:
            if tenant not in {None, "", rule.tenant}:
                raise QuestionError(f"rule {rule.name} judges another tenant alone, not {tenant}")
            return rule.tenant
        case _:
            if not tenant:
                raise QuestionError(f"rule {rule.name} judges every tenant on its own: name one")
            if not Series.objects.filter(tenant=tenant).exists():
                raise UnknownTenantError(tenant)
            return tenant


def _looked_at(rule: Rule, minute: int) -> Iterator[tuple[int, int]]:
    if rule.budget:
        yield bounds(Period(rule.budget), minute, rule.time_zone)[0], minute + 1
        return
    yield minute + 1 - rule.window, minute + 1
    if rule.offset:
        yield minute + 1 - rule.window - rule.offset, minute + 1 - rule.offset


def _deliveries(rule: AlertRule, tenant: str, minute: int) -> list[Delivery]:
    """Of the notifications about this tenant: a notification may be about many."""
    alerts = list(
        Alert.objects.filter(rule=rule, tenant=tenant, fired_at__lte=to_datetime(minute)).filter(
            Q(resolved_at=None) | Q(resolved_at__gte=to_datetime(minute))
        ).values_list("pk", flat=True)
    )  # fmt: skip
    rows = Notification.objects.filter(rule=rule, minute=to_datetime(minute), alert_ids__overlap=alerts)
    rows = rows.exclude(kind=Notification.Kind.ACKNOWLEDGED).select_related("channel").defer("channel__secrets")
    return [
        Delivery(row.channel.name, row.kind, row.status, row.attempts, row.delivered_at, row.last_error)
        for row in rows.order_by("channel__name", "kind")
    ]


def _differences(own: Sequence[Past], lines: Sequence[Past]) -> list[str]:
    if len(own) != len(lines):
        return [f"the history has {_worded(lines)}, the stored data give {_worded(own)}"]
    found: list[str] = []
    for mine, line in zip(own, lines, strict=True):
        if (mine.state, mine.changed, mine.notified) != (line.state, line.changed, line.notified):
            found.append(f"the history has {_worded([line])}, the stored data give {_worded([mine])}")
        elif mine.samples != line.samples or not _is_same(mine.value, line.value):
            found.append(
                f"then it was {_number(line.value)} from {line.samples} samples, by what is stored now "
                f"{_number(mine.value)} from {mine.samples}: records arrived after the minute was judged"
            )
        elif mine.reason != line.reason:
            found.append(f"the history has the reason {line.reason!r}, now it is {mine.reason!r}")
    return found


def _worded(lines: Sequence[Past]) -> str:
    told_of = (f"{line.state.value} ({'told' if line.notified else 'not told'}: {line.reason})" for line in lines)
    return " and ".join(told_of) or "nothing"


def _is_same(one: float | None, other: float | None) -> bool:
    if one is None or other is None:
        return one is other
    return abs(one - other) <= _SAME * max(abs(one), abs(other))


def _number(value: float | None) -> str:
    return "no value" if value is None else f"{value:g}"


def _remarks(rule: AlertRule, found: Sequence[Version], course: Retrace, minute: int, when: When) -> Iterator[str]:
    yield from _of_edits(found, minute, when)
    if course.is_cut:
        yield f"Followed from {isoformat(course.begun)} on, with the state that the history shows there."
    if course.disputed:
        first = isoformat(course.disputed[0])
        yield (
            f"In {len(course.disputed)} of the minutes before, first {first}, the history has something else than the stored "
            "data give: there the history was followed."
        )
    if rule.error_since is not None and rule.error_since <= to_datetime(minute + 1):
        yield f"The rule is in error since {_clock(rule.error_since)} and is not judged: {rule.error}"


def _of_edits(found: Sequence[Version], minute: int, when: When) -> Iterator[str]:
    """Which rule it was that judged the minute."""
    made = found[0].edit
    if made is not None and not when.saw(made.at):
        late = " was judged: it did not judge it" if when.is_known else "; only a minute that is judged late is judged with it"
        yield f"The rule was made at {_clock(made.at)}, after this minute{late}."
    edits = [one.edit for one in found[1:] if one.edit is not None]
    before = [edit for edit in edits if due(minute) <= edit.at and when.saw(edit.at)]
    if before:
        judged = f"at {_clock(when.at)}" if when.is_known else "late, as the history shows,"
        last = f"at {_clock(before[-1].at)} {_by(before[-1])}"
        yield f"The minute was judged {judged} by the rule as it had been edited by then, {last}."
    since = [edit for edit in edits if not when.saw(edit.at)]
    if since:
        yield f"The rule was edited since, first at {_clock(since[0].at)} {_by(since[0])}: it is explained as it was."
        if not when.is_known:
            yield "When the minute was judged is not known: if that was after an edit, it was judged by the rule as edited."


def _by(edit: Edit) -> str:
    return f"by {edit.by or 'code'}"


def _clock(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"
