"""A kind of channel that answers what a test wants."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from apps.monitoring.notify.channels.outcome import NO_RECEIPT, Outcome
from apps.monitoring.notify.message import Message
from apps.monitoring.notify.thread import Thread


class Odd:
    """A handler with a mistake in it: it raises, or answers what it should not."""

    kind = "odd"
    hears_acknowledgement = keeps_threads = False
    example_config = example_secrets = "{}"

    def __init__(self, answer: Outcome | None = None) -> None:
        self._answer = answer

    def problems(self, config: Mapping[str, Any], secrets: Mapping[str, Any]) -> list[str]:
        return []

    def deliver(
        self,
        message: Message,
        config: Mapping[str, Any],
        secrets: Mapping[str, Any],
        threads: Sequence[Thread] = (),
        receipt: Mapping[str, Any] = NO_RECEIPT,
    ) -> Outcome:
        if self._answer is None:
            raise LookupError(secrets["token"])
        return self._answer
