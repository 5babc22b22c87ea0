"""The structured log: one JSON line an event, written by a thread of its own (docs/logs.md)."""

from apps.monitoring.logs.writer import counters, drain, emit

__all__ = ["counters", "drain", "emit"]
