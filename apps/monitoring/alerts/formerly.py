"""Objects as they were when a minute was judged: what the audit says of their edits."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Generic, TypeVar

from apps.monitoring.alerts.judgings import When
from apps.monitoring.models import AuditEntry

Fields = Mapping[str, Any]
Thing = TypeVar("Thing")

ALWAYS: Final = datetime.min.replace(tzinfo=UTC)
"""Since when is what is as old as anything that is known."""


@dataclass(frozen=True, slots=True)
class Since(Generic[Thing]):
    """How an object was from a moment on, and whose edit that was; ``thing`` None: there was none."""

    at: datetime
    thing: Thing | None
    by: str = ""


class Formerly(Generic[Thing]):
    """Objects of one kind through time, by number.

    One of which nothing is known was always as it is. As long as it is not known when a minute was judged, it may have been
    long after it: what was made is then as if it had always been there.
    """

    def __init__(
        self, now: Mapping[int, Thing], entries: Iterable[AuditEntry], restore: Callable[[int, Fields], Thing]
    ) -> None:
        """``entries`` are those of the kind, oldest first, all of an object or none."""
        self._known: dict[int, list[Since[Thing]]] = {pk: [Since(ALWAYS, thing)] for pk, thing in now.items()}
        for pk, own in _by_object(entries).items():
            self._known[pk] = _through_time(pk, own, restore)
            if pk in now:  # it may have been changed by what leaves no entry
                last = self._known[pk][-1]
                self._known[pk][-1] = Since(last.at, now[pk], last.by)
        self._moments = sorted({one.at for own in self._known.values() for one in own})
        self._found: dict[tuple[int, bool], dict[int, Thing]] = {}

    def at(self, when: When) -> dict[int, Thing]:
        """All that there was."""
        key = bisect_left(self._moments, when.at), when.is_known
        if key not in self._found:
            seen = {pk: self.one(pk, when) for pk in self._known}
            self._found[key] = {pk: thing for pk, thing in seen.items() if thing is not None}
        return self._found[key]

    def one(self, pk: int, when: When) -> Thing | None:
        """One of them; None when it was not there."""
        return self._known[pk][self._position(pk, when)].thing

    def later(self, pk: int, when: When) -> Sequence[Since[Thing]]:
        """What became of it after that."""
        return self._known[pk][self._position(pk, when) + 1 :]

    def __iter__(self) -> Any:
        return iter(sorted(self._known))

    def _position(self, pk: int, when: When) -> int:
        own = self._known[pk]
        seen = sum(when.saw(one.at) for one in own)
        return 1 if seen == 1 and own[0].thing is None and not when.is_known else seen - 1


def _by_object(entries: Iterable[AuditEntry]) -> dict[int, list[AuditEntry]]:
    found: dict[int, list[AuditEntry]] = {}
    for entry in entries:
        found.setdefault(entry.object_id, []).append(entry)
    return found


def _through_time(pk: int, entries: Sequence[AuditEntry], restore: Callable[[int, Fields], Thing]) -> list[Since[Thing]]:
    """Before the first entry it was as that says, or was not there."""

    def restored(fields: Fields | None) -> Thing | None:
        return None if fields is None else restore(pk, fields)

    begun = Since(ALWAYS, restored(entries[0].before))
    return [begun, *(Since(entry.at, restored(entry.after), entry.actor) for entry in entries)]
