"""What errors of this product say to Sentry, redacted as the log is."""

from __future__ import annotations

from typing import Any, Final

from apps.monitoring.logs.process import redactor

_SAID: Final = ("message", "logentry", "exception", "breadcrumbs", "extra", "tags", "request", "user")
"""Where texts are; ids and times stay as they are."""


def before_send(event: Any, hint: Any) -> Any:  # noqa: ARG001 - the signature is the SDK's
    """For ``sentry_sdk.init``.

    https://docs.sentry.io/platforms/python/configuration/filtering/
    """
    redact = redactor().tree
    for part in _SAID:
        if part in event:
            event[part] = redact(event[part])
    return event
