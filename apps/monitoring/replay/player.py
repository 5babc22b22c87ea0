"""Plays an interaction of a recording through the monitor."""

from __future__ import annotations

from apps.monitoring.interactions import row
from apps.monitoring.monitor import AgentMonitor
from apps.monitoring.replay.recording import Line


def play(line: Line, start: float) -> None:
    """Record one interaction with everything in it, at its own time; ``start`` is offset 0 in epoch seconds."""
    monitor = AgentMonitor(line.tenant, pricing=False)  # a cost that was not recorded is not known
    row.play(line.row, monitor, start + line.ended_ms / 1_000)
