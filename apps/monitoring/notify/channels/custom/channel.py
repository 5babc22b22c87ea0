"""Notifications to a function of the user's own, named by its dotted path.

It runs in a process of its own, so that what hangs can be ended, what crashes ends nothing else, and what leaks is gone.
"""

from __future__ import annotations

import contextlib
import inspect
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Final

from django.conf import settings
from django.utils.module_loading import import_string

from apps.monitoring.notify.channels.outcome import NO_RECEIPT, Delivered, Outcome, Rejected, Retry
from apps.monitoring.notify.message import Message, printable
from apps.monitoring.notify.thread import Thread

TOTAL_SECONDS: Final = 30
"""From the start of the process to its answer; importing Django takes about one of them."""
_ANSWER_BYTES: Final = 64 * 1024
_REASON: Final = 300
_PROGRAM: Final = "import django; django.setup(); from apps.monitoring.notify.channels.custom.run import main; main()"


class CustomChannel:
    """``config``: {"path": "shop.alerts.page_duty", …}; ``secrets``: whatever the function needs.

    The function is called with the payload (`message.schema.json`), the config and the secrets, and returns None when the
    message is delivered, or a `Delivered`, `Retry` or `Rejected`. What it raises is tried again.
    """

    kind = "custom"
    hears_acknowledgement = False
    keeps_threads = False
    example_config = '{"path": "shop.alerts.page_duty"}'
    example_secrets = "{}"

    def problems(self, config: Mapping[str, Any], secrets: Mapping[str, Any]) -> list[str]:  # noqa: ARG002
        """A path that MONITORING_CUSTOM_HANDLERS does not name, or that leads to no function of three arguments."""
        path = str(config.get("path") or "")
        if path not in settings.MONITORING_CUSTOM_HANDLERS:
            allowed = ", ".join(settings.MONITORING_CUSTOM_HANDLERS) or "none so far"
            return [f'"path" is one of those that MONITORING_CUSTOM_HANDLERS names: {allowed}']
        try:
            inspect.signature(import_string(path)).bind({}, {}, {})
        except Exception as error:  # importing runs the user's own code
            return [f"{path} is no function of notification, config and secrets: {type(error).__name__}"]
        return []

    def goes_to(self, config: Mapping[str, Any]) -> str:
        """The function is handed them."""
        return str(config.get("path") or "")

    def deliver(
        self,
        message: Message,
        config: Mapping[str, Any],
        secrets: Mapping[str, Any],
        threads: Sequence[Thread] = (),  # noqa: ARG002
        receipt: Mapping[str, Any] = NO_RECEIPT,  # noqa: ARG002
    ) -> Outcome:
        """Run the function once."""
        path = str(config.get("path") or "")
        if path not in settings.MONITORING_CUSTOM_HANDLERS:
            return Rejected("MONITORING_CUSTOM_HANDLERS does not name the handler")
        task = {"path": path, "seconds": TOTAL_SECONDS, "arguments": [message.payload(), dict(config), dict(secrets)]}
        return _run(json.dumps(task).encode())


def _run(task: bytes) -> Outcome:
    """Start the process, hand the task over, and read the last line that it writes."""
    with subprocess.Popen(
        [sys.executable, "-c", _PROGRAM],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as process:
        try:
            answer, _ = process.communicate(task, timeout=TOTAL_SECONDS)
        except subprocess.TimeoutExpired:
            return Retry(f"the handler did not end within {TOTAL_SECONDS} seconds")
        finally:
            with contextlib.suppress(ProcessLookupError):  # with all that it started
                os.killpg(process.pid, signal.SIGKILL)
    return _outcome(answer[-_ANSWER_BYTES:], process.returncode)


def _outcome(answer: bytes, code: int) -> Outcome:
    try:
        said = json.loads(answer.rpartition(b"\n")[2])
        kind, reason, after, receipt = said["outcome"], printable(said["reason"])[:_REASON], said["after"], said["receipt"]
    except (ValueError, KeyError, TypeError):
        return Retry(f"the handler's process ended with code {code} and no answer")
    match kind:
        case "delivered":
            return Delivered(receipt, warning=reason)
        case "rejected":
            return Rejected(reason)
        case _:
            return Retry(reason, after)
