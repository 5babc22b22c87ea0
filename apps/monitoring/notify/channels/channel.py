"""What a channel is to everything else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from apps.monitoring.notify.channels.outcome import NO_RECEIPT, Outcome
from apps.monitoring.notify.message import Message
from apps.monitoring.notify.thread import Thread


class ChannelHandler(Protocol):
    """One kind of channel. ``config`` is shown to ops, ``secrets`` never is and must not appear in any outcome."""

    kind: str
    hears_acknowledgement: bool
    """Whether it is told that somebody looks after an alert."""
    keeps_threads: bool
    """Whether what follows goes on with what it was told before; else no threads are looked for."""
    example_config: str
    """In JSON, for whoever makes a channel."""
    example_secrets: str

    def problems(self, config: Mapping[str, Any], secrets: Mapping[str, Any]) -> list[str]:
        """Why a channel with this configuration cannot work; empty when it can."""

    def goes_to(self, config: Mapping[str, Any]) -> str:
        """Whom the configuration has the secrets sent to, or sign for; empty where they say it themselves."""

    def deliver(
        self,
        message: Message,
        config: Mapping[str, Any],
        secrets: Mapping[str, Any],
        threads: Sequence[Thread] = (),
        receipt: Mapping[str, Any] = NO_RECEIPT,
    ) -> Outcome:
        """Make one attempt, within 45 seconds. ``threads`` is what the message goes on with, oldest first.

        ``receipt`` is what an attempt that came to a part of it has left.
        """
