"""An object as the database has it, ready for JSON: every field that is edited, by name.

Of a secret there is the name, and whether it was changed: nothing is kept that was made of its value.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from django.db.models import TextField
from django.db.models.functions import Cast

from apps.monitoring.models import AlertRule, AuditEntry, Channel, MuteWindow, Silence
from apps.monitoring.models.audit import Audited
from apps.monitoring.models.encrypted import EncryptedJSONField, SecretUnreadableError

KINDS: Final[dict[type[Audited], AuditEntry.Kind]] = {
    AlertRule: AuditEntry.Kind.RULE,
    Channel: AuditEntry.Kind.CHANNEL,
    Silence: AuditEntry.Kind.SILENCE,
    MuteWindow: AuditEntry.Kind.MUTE_WINDOW,
}
_ALSO: Final = frozenset({"author"})
"""Said by nobody's form, and part of what was made."""
_NAME: Final = 200
_SET, _CHANGED, _UNREADABLE = "set", "changed", "cannot be read"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """``secrets`` stays in memory; None when they cannot be decrypted."""

    name: str
    fields: dict[str, Any]
    stored_secrets: str = field(default="", repr=False)
    secrets: dict[str, str] | None = field(default=None, repr=False)


def take(model: type[Audited], pk: int) -> Snapshot | None:
    """The object as it is now, locked until the transaction ends: what comes after it is what was edited."""
    if model is Channel:
        return _of_channel(pk)
    row = model._default_manager.select_for_update(no_key=True).filter(pk=pk).first()  # noqa: SLF001 - Django's public name
    return None if row is None else Snapshot(str(row)[:_NAME], _fields(row))


def shown(before: Snapshot | None, after: Snapshot | None) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    """Both as an entry keeps them."""
    old = None if before is None else {**before.fields, **_names(before, None)}
    new = None if after is None else {**after.fields, **_names(after, before)}
    return old, new


def _of_channel(pk: int) -> Snapshot | None:
    rows = Channel.without_secrets.select_for_update(no_key=True, of=("self",))
    row = rows.annotate(stored=Cast("secrets", TextField())).filter(pk=pk).first()
    return None if row is None else Snapshot(row.name, _fields(row), row.stored, _read(row.stored))


def _fields(row: Audited) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for one in row._meta.concrete_fields:  # noqa: SLF001 - Django's public name
        edited = (one.editable or one.name in _ALSO) and not one.primary_key
        if edited and not isinstance(one, EncryptedJSONField):
            value = getattr(row, one.name)
            found[one.name] = str(value) if one.is_relation and value is not None else value
    if isinstance(row, AlertRule):
        found["channels"] = list(row.channels.order_by("name").values_list("name", flat=True))
    return found


def _read(stored: str) -> dict[str, str] | None:
    try:
        return dict(EncryptedJSONField().from_db_value(stored))
    except SecretUnreadableError:
        return None


def _names(one: Snapshot, before: Snapshot | None) -> dict[str, Any]:
    """The secrets by name; ``before`` is what they were, None when there is nothing to compare with."""
    if not one.stored_secrets:
        return {}
    if one.secrets is None:
        same = before is None or before.stored_secrets == one.stored_secrets
        return {"secrets": _UNREADABLE if same else _CHANGED}
    old = {} if before is None or before.secrets is None else before.secrets
    return {
        "secrets": {name: _CHANGED if old.get(name, value) != value else _SET for name, value in sorted(one.secrets.items())}
    }
