"""The structured log: one line an event, written by a thread of its own (docs/logs.md)."""

from apps.monitoring.logs.context import bind_request_id, bind_trace
from apps.monitoring.logs.process import configure, configure_from_settings, counters, drain, emit_many, redactor

__all__ = [
    "bind_request_id",
    "bind_trace",
    "configure",
    "configure_from_settings",
    "counters",
    "drain",
    "emit_many",
    "redactor",
]
