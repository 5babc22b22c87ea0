"""Slack, as far as a bot that posts and an incoming webhook see it: its limits, its errors, its answers.

https://docs.slack.dev/reference/methods/chat.postMessage and the pages of the blocks.
"""

from __future__ import annotations

from typing import Any, Final

from apps.monitoring.demo.sink.arrivals import Arrival, Arrivals
from apps.monitoring.demo.sink.reply import Reply

API: Final = "/slack/api/"
WEBHOOK: Final = "/slack/services/"
_ID: Final = "C0123456789"
_BLOCKS: Final = 50
_LIMITS: Final = {"header": 150, "section": 3_000, "context": 3_000}


def take(arrivals: Arrivals, path: str, payload: dict[str, Any], headers: dict[str, str]) -> Reply:
    """Take a message as Slack would, or say its error."""
    error = _error(payload)
    if path.startswith(WEBHOOK):
        if error:
            return Reply.text(400, error)
        arrivals.add(Arrival("slack", str(payload.get("text")), headers, payload))
        return Reply.text(200, "ok")
    method = path.removeprefix(API)
    if not headers.get("authorization", "").startswith("Bearer xoxb-"):
        error = "not_authed"
    elif method == "chat.update" and payload.get("ts") not in _posted(arrivals):
        error = "message_not_found"
    elif method not in {"chat.postMessage", "chat.update"}:
        error = "unknown_method"
    if error:
        return Reply.json(200, {"ok": False, "error": error})
    ts = payload["ts"] if method == "chat.update" else f"1767571200.{len(arrivals.all()):06d}"
    arrivals.add(Arrival("slack", str(payload.get("text")), headers, {**payload, "method": method, "ts": ts}))
    return Reply.json(200, {"ok": True, "channel": _ID, "ts": ts})


def _posted(arrivals: Arrivals) -> set[str]:
    return {arrival.body["ts"] for arrival in arrivals.all("slack") if arrival.body.get("method") == "chat.postMessage"}


def _error(payload: dict[str, Any]) -> str:
    blocks = payload.get("blocks") or []
    if not payload.get("text") and not blocks:
        return "no_text"
    return "invalid_blocks" if len(blocks) > _BLOCKS or not all(_fits(block) for block in blocks) else ""


def _fits(block: dict[str, Any]) -> bool:
    texts = block.get("elements", []) if block.get("type") == "context" else [block.get("text", {})]
    limit = _LIMITS.get(str(block.get("type")), 0)
    kinds = {"plain_text"} if block.get("type") == "header" else {"plain_text", "mrkdwn"}
    return 0 < len(texts) <= 10 and all(  # noqa: PLR2004 - Slack's number
        text.get("type") in kinds and 0 < len(text.get("text", "")) <= limit for text in texts
    )
