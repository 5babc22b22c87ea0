"""What an HTTP status says about an attempt."""

from __future__ import annotations

from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Final

from apps.monitoring.notify.channels.outcome import Delivered, Outcome, Rejected, Retry

_LONGEST_WAIT: Final = 6 * 3_600.0
_AGAIN: Final = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS})


def judge(status: int, headers: Mapping[str, str], now: float) -> Outcome:
    """2xx is delivered; 408, 425, 429 and 5xx are tried again; everything else is final.

    https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md, Retry-After as RFC 9110, 10.2.3.
    """
    if 200 <= status < 300:  # noqa: PLR2004 - the classes of HTTP
        return Delivered()
    reason = f"the receiver answered {status}"
    if status in _AGAIN or status >= 500:  # noqa: PLR2004
        return Retry(reason, _retry_after(headers.get("retry-after"), now))
    return Rejected(reason)


def _retry_after(value: str | None, now: float) -> float | None:
    """Seconds of a Retry-After header, which holds seconds or a date; at most six hours."""
    if value is None:
        return None
    try:
        seconds = float(value) if value.strip().isdigit() else parsedate_to_datetime(value).timestamp() - now
    except (TypeError, ValueError, OverflowError):
        return None
    return min(max(seconds, 0.0), _LONGEST_WAIT)
