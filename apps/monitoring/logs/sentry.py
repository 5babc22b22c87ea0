"""What errors of this product say to Sentry, redacted as the log is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from apps.monitoring.logs.fields import LEFT_OUT
from apps.monitoring.logs.plain import plain
from apps.monitoring.logs.process import redactor
from apps.monitoring.logs.redaction import ContentMode

_KEPT: Final = frozenset(
    {
        "event_id", "timestamp", "start_timestamp", "platform", "level", "logger", "type", "release", "dist", "environment",
        "server_name", "sdk", "modules", "debug_meta",
    }
)  # fmt: skip
"""Ids, times and versions stay as they are; whatever else an event has or will have is redacted.

https://develop.sentry.dev/sdk/data-model/event-payloads/
"""
_OF_THE_SYSTEM: Final = frozenset({"trace", "runtime", "os", "device", "app", "browser", "culture", "cloud_resource"})
"""Contexts that the SDK fills."""
_OF_THE_REQUEST: Final = frozenset({"method", "url"})


def before_send(event: Any, hint: Any) -> Any:  # noqa: ARG001 - the signature is the SDK's
    """For ``sentry_sdk.init``. In mode `none` no text goes out that somebody may have written, exceptions' messages included.

    https://docs.sentry.io/platforms/python/configuration/filtering/
    """
    redacting = redactor()
    for part in event.keys() - _KEPT:
        event[part] = redacting.tree(event[part])
    if redacting.mode is ContentMode.NONE:
        _leave_out(event)
    return event


def _leave_out(event: dict[str, Any]) -> None:
    _blank(event, ("message", "extra", "user"))
    for part, harmless in (("request", _OF_THE_REQUEST), ("contexts", _OF_THE_SYSTEM)):
        held = event.get(part) or {}
        _blank(held, held.keys() - harmless)
    entry = event.get("logentry") or {}
    # A message with parameters is a text of the code, which they were to be put into.
    _blank(entry, ("formatted", "params") if entry.get("params") else ("formatted", "message"))
    for crumb in _values(event.get("breadcrumbs")):
        _blank(crumb, ("message", "data"))
    raised = [*_values(event.get("exception"))]
    for one in raised:
        _blank(one, ("value",))
    for traced in (event, *raised, *_values(event.get("threads"))):
        for frame in (traced.get("stacktrace") or {}).get("frames", ()):
            _blank(frame, ("vars",))


def _blank(held: dict[str, Any], names: Iterable[str]) -> None:
    """Put ``[text]`` into the place of every text that stands under the names, however deep."""
    for name in names:
        if name in held:
            held[name] = plain(held[name], lambda _: LEFT_OUT, str)


def _values(part: Any) -> Iterator[dict[str, Any]]:
    """An interface of several is a list, or a mapping that holds it."""
    held = part.get("values") if isinstance(part, Mapping) else part
    yield from (one for one in held or () if isinstance(one, dict))
