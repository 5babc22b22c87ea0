"""Ranges of time as users write them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from apps.monitoring.query.errors import RangeError

OFFERED: Final = ("5m", "15m", "1h", "6h", "24h")
"""Those that the dashboard shows, from short to long."""
_WINDOW: Final = re.compile(r"(\d{1,6})\s*([smhdw])\Z")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_LONGEST: Final = timedelta(days=800)
_FIRST, _LAST = datetime(1970, 1, 1, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC)
"""Between them every minute has a number, and those around it have a name."""


def parse(window: str | None, frm: str | None, to: str | None, now: datetime) -> tuple[datetime, datetime]:
    """The range of ``window`` (such as 15m, 1h, 7d) that ends now, or of ``frm`` and ``to`` (ISO 8601 with a zone).

    Without anything: the last hour. The start is included, the end is not. Raises RangeError.
    """
    if frm is None and to is None:
        return now - _span(window or "1h"), now
    if window is not None:
        msg = "give either a window or from and to, not both"
        raise RangeError(msg)
    if frm is None:
        msg = "a range needs its start: from"
        raise RangeError(msg)
    start, end = moment(frm, "from"), now if to is None else moment(to, "to")
    if start >= end:
        msg = f"the range is empty: from {start.isoformat()} is not before to {end.isoformat()}"
        raise RangeError(msg)
    if end - start > _LONGEST:
        msg = f"a range is at most {_LONGEST.days} days"
        raise RangeError(msg)
    return start, end


def step(text: str | None) -> int | None:
    """Minutes of a step such as 60s, 5m, 1h; None stays None. Raises RangeError."""
    if text is None:
        return None
    span = _span(text)
    if span % timedelta(minutes=1):
        msg = f"a step is whole minutes, such as 1m, 5m or 1h, not {text!r}"
        raise RangeError(msg)
    return span // timedelta(minutes=1)


def moment(text: str, name: str) -> datetime:
    """A moment as ISO 8601 with a zone. Raises RangeError."""
    try:
        # A plus sign in a query string arrives as a space.
        parsed = datetime.fromisoformat(text.strip().replace(" ", "+"))
        if parsed.tzinfo is None:
            whole = parsed.isoformat()  # a date alone is no time yet
            msg = f"{name} has no time zone: write {whole}Z or {whole}+02:00"
            raise RangeError(msg)
        return within(parsed.astimezone(UTC), name)
    except (ValueError, OverflowError) as error:
        msg = f"{name} is no ISO 8601 time with a zone: {text!r}; such as 2026-01-05T00:00:00Z"
        raise RangeError(msg) from error


def within(moment: datetime, name: str) -> datetime:
    """The moment, unless it lies where nothing could be. Raises RangeError."""
    if not _FIRST <= moment < _LAST:
        msg = f"{name} lies outside the years {_FIRST.year} to {_LAST.year - 1}: {moment.isoformat()}"
        raise RangeError(msg)
    return moment


def _span(window: str) -> timedelta:
    match = _WINDOW.match(window)
    if match is None or int(match[1]) == 0:
        msg = f"a window is a number and a unit of s m h d w, such as 15m or 1h, not {window!r}"
        raise RangeError(msg)
    span = timedelta(**{_UNITS[match[2]]: int(match[1])})
    if span > _LONGEST:
        msg = f"a window is at most {_LONGEST.days} days"
        raise RangeError(msg)
    return span
