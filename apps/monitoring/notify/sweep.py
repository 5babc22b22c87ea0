"""What is looked at each minute, whatever else was asked for and got lost."""

from __future__ import annotations

from datetime import datetime

from apps.monitoring.notify import broken, delivery, failing, fallback, outbox


def sweep(now: datetime) -> None:
    """Tell the fallbacks what waits too long, tell of channels and rules that fail, and ask for everything that is due."""
    fallback.sweep(now)
    failing.sweep(now)
    broken.sweep(now)
    for channel_id in delivery.due_channels(now):
        outbox.ask(channel_id)
