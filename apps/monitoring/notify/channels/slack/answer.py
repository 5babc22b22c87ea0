"""What Slack's answer says about an attempt."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

import orjson

from apps.monitoring.notify.channels.http import Answer, judge, retry_after
from apps.monitoring.notify.channels.outcome import Delivered, Outcome, Rejected, Retry

_PASSING: Final = frozenset(
    {
        "ratelimited",
        "rate_limited",
        "request_timeout",
        "service_unavailable",
        "internal_error",
        "fatal_error",
        "team_added_to_org",
    }
)
"""Errors that are Slack's own and pass. https://docs.slack.dev/reference/methods/chat.postMessage#errors"""
_CODE: Final = re.compile(r"[a-z0-9_]{1,60}")


def judged(answer: Answer) -> Outcome:
    """The status first, as of any receiver; a 200 may hold an error, in JSON (Web API) or as a word (incoming webhook)."""
    if answer.status != HTTPStatus.OK:
        outcome = judge(answer.status, answer.headers, time.time())
        return Rejected(f"Slack answered {answer.status}") if isinstance(outcome, Delivered) else outcome
    if "json" not in answer.headers.get("content-type", ""):
        word = answer.body.decode("utf-8", "replace").strip()
        return Delivered() if word == "ok" else _refused(word, answer.headers)
    try:
        said = orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        said = None
    if not isinstance(said, dict):
        return Retry("Slack's answer cannot be read")
    if said.get("ok") is True:
        return Delivered(_receipt(said))
    return _refused(str(said.get("error") or ""), answer.headers)


def error_of(outcome: Outcome) -> str:
    """The code in a reason of `judged`, or nothing."""
    return outcome.reason.removeprefix("Slack says ") if isinstance(outcome, Rejected) else ""


def _receipt(said: Mapping[str, Any]) -> dict[str, str]:
    """Where the message stands: chat.update wants both."""
    if isinstance(said.get("ts"), str) and isinstance(said.get("channel"), str):
        return {"channel": said["channel"], "ts": said["ts"]}
    return {}


def _refused(code: str, headers: Mapping[str, str]) -> Outcome:
    """Of what Slack says only a code is repeated: a reason is shown to ops."""
    reason = f"Slack says {code if _CODE.fullmatch(code) else 'something else than ok'}"
    return Retry(reason, retry_after(headers, time.time())) if code in _PASSING else Rejected(reason)
