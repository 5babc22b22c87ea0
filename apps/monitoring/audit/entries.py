"""Write an entry beside the edit: one for each object and transaction, however many statements the edit takes."""

from __future__ import annotations

from typing import Any

from django.contrib.postgres.functions import TransactionNow
from django.db.models.signals import ModelSignal, m2m_changed, post_delete, post_save, pre_delete, pre_save

from apps.monitoring.audit import actor
from apps.monitoring.audit.snapshot import KINDS, Snapshot, shown, take
from apps.monitoring.models import AlertRule, AuditEntry, Channel
from apps.monitoring.models.audit import Audited

_BEFORE = "_audited_before"


def watch() -> None:
    """Begin. Edits through models are seen; `QuerySet.update` and SQL are not, and are for the machinery's own columns."""
    pairs: list[tuple[ModelSignal, Any]] = [
        (pre_save, _before), (post_save, _after), (pre_delete, _before), (post_delete, _after_delete),
    ]  # fmt: skip
    for model in KINDS:
        for signal, receiver in pairs:
            signal.connect(receiver, sender=model)
    m2m_changed.connect(_channels_change, sender=AlertRule.channels.through)


def _before(sender: type[Audited], instance: Audited, **_: object) -> None:
    setattr(instance, _BEFORE, None if instance.pk is None else take(sender, instance.pk))


def _after(sender: type[Audited], instance: Audited, **_: object) -> None:
    _write(sender, instance.pk, instance.__dict__.pop(_BEFORE, None), take(sender, instance.pk))


def _after_delete(sender: type[Audited], instance: Audited, **_: object) -> None:
    _write(sender, instance.pk, instance.__dict__.pop(_BEFORE, None), None)


def _channels_change(instance: Any, action: str, reverse: bool, pk_set: set[int] | None, **_: object) -> None:  # noqa: FBT001 - Django's
    """The channels of a rule are set, or the rules of a channel."""
    if action.startswith("pre"):
        rules = _rules_of(instance, pk_set) if reverse else [instance.pk]
        setattr(instance, _BEFORE, {pk: take(AlertRule, pk) for pk in rules})
    else:
        for pk, before in instance.__dict__.pop(_BEFORE, {}).items():
            _write(AlertRule, pk, before, take(AlertRule, pk))


def _rules_of(channel: Channel, named: set[int] | None) -> list[int]:
    """Those that are named, or all of them: in one order, so that two edits at once do not wait for each other."""
    return sorted(channel.rules.values_list("pk", flat=True) if named is None else named)


def _write(model: type[Audited], pk: int, before: Snapshot | None, after: Snapshot | None) -> None:
    old, new = shown(before, after)
    if old == new:
        return
    kind = KINDS[model]
    name = (after or before or Snapshot("", {})).name
    entry = AuditEntry.objects.filter(kind=kind, object_id=pk, at=TransactionNow()).first()
    if entry is None:
        action = AuditEntry.Action.CREATED if old is None else AuditEntry.Action.CHANGED
        entry = AuditEntry(kind=kind, object_id=pk, action=action, before=old)
    if new is None:
        entry.action = AuditEntry.Action.DELETED
    elif entry.after is not None:
        new = _still_changed(entry.after, new)
    entry.name, entry.actor, entry.after = name, actor.current()[:200], new
    entry.save()


def _still_changed(earlier: dict[str, Any], now: dict[str, Any]) -> dict[str, Any]:
    """A secret that was changed earlier in the transaction stays so."""
    marks, names = earlier.get("secrets"), now.get("secrets")
    if not isinstance(marks, dict) or not isinstance(names, dict):
        return now
    return {**now, "secrets": {name: marks[name] if marks.get(name) == "changed" else mark for name, mark in names.items()}}
