"""A notification that takes several requests: what the receiver has taken is kept, and the next attempt goes on from there."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from apps.monitoring.notify.channels.outcome import TAKEN, Delivered, Outcome, Retry, Unfinished

SECONDS: Final = 20.0
"""No second step is begun after this; a single request takes 20 seconds at most."""


class Progress:
    """The steps of one notification that its receiver has taken, each by a name that is the same in every attempt."""

    def __init__(self, receiver: str, receipt: Mapping[str, Any]) -> None:
        self._receiver = receiver
        self._taken: list[str] = list(receipt.get(TAKEN, ()))
        self._before = len(self._taken)
        self._known = set(self._taken)
        self._until = time.monotonic() + SECONDS

    def take(self, name: str, step: Callable[[], Outcome]) -> Outcome:
        """Take a step, unless an earlier attempt has. What is not `Delivered` ends this attempt.

        An attempt that failed after some of its steps is `Unfinished`.
        """
        if name in self._known:
            return Delivered()
        late = self._has_some and time.monotonic() > self._until
        outcome = Retry(f"{self._receiver} takes longer than one attempt may") if late else step()
        if isinstance(outcome, Delivered):
            self._taken.append(name)
            self._known.add(name)
        elif isinstance(outcome, Retry) and self._has_some:
            return Unfinished(outcome.reason, {TAKEN: self._taken}, outcome.after)
        return outcome

    @property
    def _has_some(self) -> bool:
        """This attempt has taken a step."""
        return len(self._taken) > self._before
