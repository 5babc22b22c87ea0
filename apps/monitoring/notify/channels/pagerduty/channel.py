"""Notifications as PagerDuty events: trigger, acknowledge and resolve of one incident.

https://developer.pagerduty.com/docs/send-alert-event: 202 is taken, 400 is an invalid event, 429 is too many, 5xx is theirs.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Final
from urllib.parse import urlsplit

import orjson
from django.conf import settings

from apps.monitoring.core.rules import Severity, rank
from apps.monitoring.notify.channels.address import origin
from apps.monitoring.notify.channels.http import Answer, forbidden, judge, reach
from apps.monitoring.notify.channels.outcome import NO_RECEIPT, Delivered, Outcome, Rejected
from apps.monitoring.notify.channels.progress import Progress
from apps.monitoring.notify.message import Message, printable
from apps.monitoring.notify.thread import Thread

_URL: Final = "https://events.pagerduty.com/v2/enqueue"
_SUMMARY: Final = 1_024
_EVENT_BYTES: Final = 512_000
_KEY: Final = re.compile(r"[A-Za-z0-9]{32}")
_SEVERITIES: Final = frozenset({"critical", "error", "warning", "info"})


class PagerDutyChannel:
    """``secrets``: {"routing_key": …}; ``config``: {"url": optional, for another service region}.

    An incident is what one firing notification announced: its key is that notification's id. It is acknowledged when
    somebody looks after every tenant of it, and resolved when the last of them has recovered. A rise in severity opens
    another one in its place, for PagerDuty notifies nobody of a trigger at an incident that somebody has acknowledged.
    """

    kind = "pagerduty"
    hears_acknowledgement = True
    keeps_threads = True
    example_config = "{}"
    example_secrets = '{"routing_key": "…"}'

    def problems(self, config: Mapping[str, Any], secrets: Mapping[str, Any]) -> list[str]:
        """A routing key that is none, an address that may not be reached."""
        found = forbidden(_url(config))
        if not _KEY.fullmatch(str(secrets.get("routing_key") or "")):
            found.append("the routing key is the integration key of Events API v2: 32 letters and digits")
        return found

    def goes_to(self, config: Mapping[str, Any]) -> str:
        """The service region gets the routing key."""
        return origin(_url(config))

    def deliver(
        self,
        message: Message,
        config: Mapping[str, Any],
        secrets: Mapping[str, Any],
        threads: Sequence[Thread] = (),
        receipt: Mapping[str, Any] = NO_RECEIPT,
    ) -> Outcome:
        """Send the events that follow and were not sent yet. PagerDuty takes a repetition as the same event, by its key."""
        problems = self.problems(config, secrets)
        if problems:
            return Rejected("; ".join(problems))
        progress = Progress("PagerDuty", receipt)
        for event in events(message, threads):
            name = f"{event['event_action']} {event['dedup_key']}"
            outcome = progress.take(name, partial(_send, _url(config), {"routing_key": secrets["routing_key"], **event}))
            if not isinstance(outcome, Delivered):
                return outcome
        return Delivered()


def _send(url: str, event: Mapping[str, Any]) -> Outcome:
    answer = reach(url, orjson.dumps(event), {"content-type": "application/json"})
    return judge(answer.status, answer.headers, time.time()) if isinstance(answer, Answer) else answer


def events(message: Message, threads: Sequence[Thread]) -> list[dict[str, Any]]:
    """The events of a notification, without the routing key. A test opens an incident and closes it."""
    match message.kind:
        case "resolved":
            return [_change("resolve", key) for thread in threads if thread.open == 0 for key in _keys(thread)]
        case "acknowledged":
            return [_change("acknowledge", _keys(thread)[-1]) for thread in threads if thread.open and thread.waiting == 0]
        case "reminder" if threads:
            return [event for thread in threads if thread.open for event in _again(message, thread)]
        case "test":
            return [trigger(message, message.id), _change("resolve", message.id)]
        case _:
            return [trigger(message, message.id)]


def _again(message: Message, thread: Thread) -> Iterator[dict[str, Any]]:
    """The incident of the worst severity so far; those in whose place it is are over."""
    *before, now = _keys(thread)
    yield trigger(message, now)
    yield from (_change("resolve", key) for key in before)


def _keys(thread: Thread) -> list[str]:
    """Of the incidents that it may have had: the first, and one for each severity above that up to the worst."""
    first, worst = rank(thread.message.rule.severity), rank(thread.worst)
    return [thread.id, *(f"{thread.id}-{severity}" for severity in Severity if first < rank(severity) <= worst)]


def trigger(message: Message, key: str) -> dict[str, Any]:
    """An event that opens an incident, or says more about an open one."""
    severity = message.rule.severity
    event: dict[str, Any] = {
        "event_action": "trigger",
        "dedup_key": key,
        "client": "Agent monitoring",
        "client_url": message.links.get("dashboard") or settings.MONITORING_BASE_URL,
        "payload": {
            "summary": _cut(message.title),
            "source": urlsplit(settings.MONITORING_BASE_URL).hostname or "agent-monitoring",
            "severity": severity if severity in _SEVERITIES else "warning",
            "timestamp": message.minute,
            "component": _cut(message.whom),
            "group": message.rule.name,
            "class": message.rule.metric,
            "custom_details": message.payload(),
        },
        "links": [{"href": url, "text": name} for name, url in message.links.items() if url],
    }
    if len(orjson.dumps(event)) > _EVENT_BYTES - 1_000:
        event["payload"]["custom_details"] = {"id": message.id, "text": _cut(message.text)}
    return event


def _change(action: str, key: str) -> dict[str, Any]:
    return {"event_action": action, "dedup_key": key}


def _cut(text: str) -> str:
    line = printable(text)
    return line if len(line) <= _SUMMARY else line[: _SUMMARY - 1] + "…"


def _url(config: Mapping[str, Any]) -> str:
    return str(config.get("url") or _URL)
