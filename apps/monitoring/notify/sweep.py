"""What is looked at each minute, whatever else was asked for and got lost."""

from __future__ import annotations

from datetime import datetime

from apps.monitoring.notify import broken, circuit, delivery, failing, fallback, outbox
from apps.monitoring.notify.isolation import isolated


def sweep(now: datetime) -> None:
    """Tell the fallbacks what waits too long, tell of channels and rules that fail, and ask for everything that is due.

    What has waited a day at a channel that fails is given up. None of this waits for another part of it to work.
    """
    parts = fallback.sweep, failing.sweep, broken.sweep, delivery.give_up_too_old, circuit.cut_short, _ask_for_what_is_due
    with isolated() as step:
        for part in parts:
            with step():
                part(now)


def _ask_for_what_is_due(now: datetime) -> None:
    for channel_id in delivery.due_channels(now):
        outbox.ask(channel_id)
