"""Notifications as lines of the worker's log."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from apps.monitoring.notify.channels.outcome import NO_RECEIPT, Delivered, Outcome
from apps.monitoring.notify.message import Message
from apps.monitoring.notify.thread import Thread

_log = logging.getLogger("monitoring.notifications")


class LogChannel:
    """Needs nothing and never fails: what the others could not say stands here too."""

    kind = "log"
    hears_acknowledgement = False
    keeps_threads = False
    example_config = "{}"
    example_secrets = "{}"

    def problems(self, config: Mapping[str, Any], secrets: Mapping[str, Any]) -> list[str]:  # noqa: ARG002
        """None."""
        return []

    def goes_to(self, config: Mapping[str, Any]) -> str:  # noqa: ARG002
        """There are no secrets."""
        return ""

    def deliver(
        self,
        message: Message,
        config: Mapping[str, Any],  # noqa: ARG002
        secrets: Mapping[str, Any],  # noqa: ARG002
        threads: Sequence[Thread] = (),  # noqa: ARG002
        receipt: Mapping[str, Any] = NO_RECEIPT,  # noqa: ARG002
    ) -> Outcome:
        """One line of JSON, a warning at every severity: an error would be reported to Sentry a second time."""
        line = orjson.dumps({"event_type": "notification", "subject": message.subject, **message.payload()}).decode()
        _log.warning("%s", line)
        return Delivered()
