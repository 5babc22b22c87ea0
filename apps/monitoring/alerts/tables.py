"""The rows of states, alerts and history, many at a time: the SQL of what a judged minute reads and leaves.

A minute in which everything changes writes as many rows as there are tenants and rules. They are copied in, and not made
into objects of models first, which takes several times as long as all the rest of such a minute. Minutes are minutes since
the epoch; a text of a minute is ISO 8601.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, Final, NamedTuple

import orjson
import psycopg
from django.db import connection

from apps.monitoring.core.clock import isoformat

_KEPT: Final = "status, since, recovering_since, notified_at, announced, acknowledged, alert_id, owed_id, subject"
_STATES: Final = (
    "SELECT rule_id, id, tenant, status, date_part('epoch', since)::int8 / 60, "
    "date_part('epoch', recovering_since)::int8 / 60, "
    "date_part('epoch', notified_at)::int8 / 60, announced, acknowledged, alert_id, owed_id, subject "
    "FROM monitoring_alertstate WHERE rule_id = ANY(%s)"
)
_CHANGE: Final = (
    f"UPDATE monitoring_alertstate SET ({_KEPT}) = ROW (n.status, to_timestamp(n.since * 60), "  # noqa: S608 - of literals
    "to_timestamp(n.recovering_since * 60), to_timestamp(n.notified_at * 60), n.announced, n.acknowledged, n.alert_id, "
    "n.owed_id, n.subject) FROM unnest(%s::int8[], %s::text[], %s::int8[], %s::int8[], %s::int8[], %s::bool[], "
    f"%s::text[], %s::int8[], %s::int8[], %s::text[]) AS n (number, {_KEPT}) WHERE id = n.number"
)
_ALERT: Final = "id, rule_id, rule_name, tenant, severity, since, fired_at, value, threshold, samples, acknowledgement_note"
_JUDGED: Final = (
    "INSERT INTO monitoring_judging (start, until, at) "
    "VALUES (to_timestamp(%s * 60), to_timestamp(%s * 60), clock_timestamp()) "
    "ON CONFLICT (start) DO UPDATE SET until = excluded.until, at = excluded.at"
)
_LINE: Final = "rule_id, rule_name, tenant, minute, event, state, value, samples, notified, reason, alert_id"


class StoredState(NamedTuple):
    """A row of the states; its number is None as long as it is not stored."""

    number: int | None
    tenant: str
    status: str
    since: int | None
    recovering_since: int | None
    notified_at: int | None
    announced: bool
    acknowledged: str
    alert: int | None
    owed: int | None
    subject: str


class NewAlert(NamedTuple):
    """An alert that begins, with texts of minutes."""

    number: int
    rule: int
    rule_name: str
    tenant: str
    severity: str
    since: str
    fired_at: str
    value: float | None
    threshold: float
    samples: int
    note: str = ""


class Line(NamedTuple):
    """A line of the history, with the text of its minute."""

    rule: int
    rule_name: str
    tenant: str
    minute: str
    event: str
    state: str
    value: float | None
    samples: int
    notified: bool
    reason: str
    alert: int | None


def states(rules: Collection[int]) -> Mapping[int, list[StoredState]]:
    """What is stored of some rules, by their numbers, all of it read at once."""
    found: dict[int, list[StoredState]] = defaultdict(list)
    with _cursor() as cursor:
        for rule, *state in cursor.execute(_STATES, [list(rules)], binary=True):
            found[rule].append(StoredState._make(state))
    return found


def judge(minute: int, until: int) -> None:
    """Note that the minutes ``[minute, until)`` are judged now, by what has just been read."""
    with _cursor() as cursor:
        cursor.execute(_JUDGED, [minute, until])


def forget(numbers: Sequence[int]) -> None:
    """Delete states."""
    if numbers:
        with _cursor() as cursor:
            cursor.execute("DELETE FROM monitoring_alertstate WHERE id = ANY(%s::int8[])", [_array(numbers)])


def keep(rule: int, rows: Sequence[StoredState]) -> None:
    """Write states of a rule as they are from now on: those that have a number in the place of what is stored."""
    known = [row for row in rows if row.number is not None]
    if known:
        with _cursor() as cursor:
            number, _, *kept = zip(*known, strict=True)
            cursor.execute(_CHANGE, [_array(column) for column in (number, *kept)])
    new = [row for row in rows if row.number is None]
    _copy(
        f"monitoring_alertstate (rule_id, tenant, {_KEPT})",
        [
            (
                rule,
                tenant,
                status,
                _text(since),
                _text(recovering),
                _text(notified),
                announced,
                acknowledged,
                alert,
                owed,
                subject,
            )
            for _, tenant, status, since, recovering, notified, announced, acknowledged, alert, owed, subject in new
        ],
    )


def next_alerts(count: int) -> list[int]:
    """So many numbers for alerts that begin, in order."""
    if not count:
        return []
    with _cursor() as cursor:
        found = cursor.execute(
            "SELECT nextval(pg_get_serial_sequence('monitoring_alert', 'id')) FROM generate_series(1, %s)", [count], binary=True
        )
        return [number for (number,) in found]


def begin(alerts: Sequence[NewAlert]) -> None:
    """Write alerts that begin."""
    _copy(f"monitoring_alert ({_ALERT})", alerts)


def resolve(alerts: Sequence[int], minute: int) -> None:
    """End alerts."""
    if alerts:
        with _cursor() as cursor:
            cursor.execute(
                "UPDATE monitoring_alert SET resolved_at = to_timestamp(%s * 60) WHERE id = ANY(%s::int8[])",
                [minute, _array(alerts)],
            )


def begun(alerts: Sequence[int]) -> dict[int, int]:
    """Since which minute the breach of each alert is."""
    if not alerts:
        return {}
    with _cursor() as cursor:
        found = cursor.execute(
            "SELECT id, date_part('epoch', since)::int8 / 60 FROM monitoring_alert WHERE id = ANY(%s::int8[])",
            [_array(alerts)],
            binary=True,
        )
        return dict(found.fetchall())


def tell(lines: Sequence[Line]) -> None:
    """Write lines of the history, in their order."""
    _copy(f"monitoring_alerttransition ({_LINE})", lines)


def _array(values: Sequence[str | int | bool | None]) -> str:
    """A literal of numbers, truth values and plain words, which JSON spells as Postgres does but for the brackets.

    psycopg takes longer to spell the elements one by one than all the rest of the statement.
    """
    return f"{{{orjson.dumps(values).decode()[1:-1]}}}"


@lru_cache(maxsize=1_024)
def _text(minute: int | None) -> str | None:
    return None if minute is None else isoformat(minute)


@contextmanager
def _cursor() -> Iterator[psycopg.Cursor[Any]]:
    """One that sends values beside the statement and reads numbers as numbers; it fails as those of Django do."""
    with connection.wrap_database_errors, psycopg.Cursor(connection.connection) as cursor:
        yield cursor


def _copy(where: str, rows: Sequence[tuple[Any, ...]]) -> None:
    if not rows:
        return
    with _cursor() as cursor, cursor.copy(f"COPY {where} FROM STDIN") as into:
        for row in rows:
            into.write_row(row)
