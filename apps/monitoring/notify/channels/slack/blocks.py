"""A notification as Slack's blocks.

Limits of https://docs.slack.dev/reference/block-kit/blocks: 150 characters in a header, 3,000 in a section or an element
of a context. What rules and tenants are called stands in plain text alone, escaped all the same
(https://docs.slack.dev/messaging/formatting-message-text#escaping): a name makes no mention, no link and no markup. Only
the line of links, whose words are ours, is marked up.
"""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import quote

from apps.monitoring.core.rules import condition
from apps.monitoring.notify.message import AlertFacts, Message, printable

_HEADER: Final = 150
_SECTION: Final = 3_000
_LINE: Final = 200
"""Ten tenants fit into one section."""
_URL: Final = 900
_ENTITIES: Final = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_SIGNS: Final = {"firing": "🔴", "reminder": "🔴", "acknowledged": "🟡", "resolved": "🟢", "test": "🔵"}
_SAFE_IN_URLS: Final = "/:?#[]@!$&'()*+,;=%~-._"


def escaped(text: str, limit: int) -> str:
    """The text in at most ``limit`` characters, without control characters; an entity is never cut in two."""
    parts: list[str] = []
    used = 0
    for character in text:
        part = _ENTITIES.get(character, character if character == "\n" else printable(character))
        if used + len(part) > limit - 1:
            return "".join(parts) + "…"
        parts.append(part)
        used += len(part)
    return "".join(parts)


def summary(message: Message, state: str = "") -> str:
    """What a phone shows: the subject."""
    return escaped(_title(message, state), _SECTION)


def blocks(message: Message, state: str = "", news: str = "") -> list[dict[str, Any]]:
    """The message; ``state`` is what has become of it since, such as "resolved", and ``news`` what is said of that.

    Then its own sentence is no longer true, and is left out.
    """
    found: list[dict[str, Any]] = [
        {"type": "header", "text": _plain(_title(message, state), _HEADER)},
        {"type": "section", "text": _plain(printable(news or message.text), _SECTION)},
    ]
    if not message.is_test:
        facts = f"Rule: {condition(message.rule)} · {message.rule.severity} · minute {message.minute}"
        lines = ["It began with:", *_lines(message)] if news else _lines(message)
        found.append({"type": "context", "elements": [_plain(facts, _SECTION)]})
        found.append({"type": "section", "text": _plain("\n".join(lines), _SECTION)})
    links = [f"<{_quoted(url)}|{escaped(name, 50)}>" for name, url in message.links.items() if 0 < len(_quoted(url)) <= _URL]
    if links:
        found.append({"type": "context", "elements": [{"type": "mrkdwn", "text": " · ".join(links), "verbatim": True}]})
    found.append({"type": "context", "elements": [_plain(f"id {message.id}", _SECTION)]})
    return found


def _title(message: Message, state: str) -> str:
    if not state:
        return f"{_SIGNS.get(message.kind, '')} {message.subject}"
    sign = _SIGNS.get(state.partition(" ")[0], _SIGNS["firing"])
    return f"{sign} {message.rule.name} {state} for {message.whom}"


def _lines(message: Message) -> list[str]:
    lines = [_line(message, alert) for alert in message.alerts]
    if message.count > len(message.alerts):
        lines.append(f"… and {message.count - len(message.alerts)} more")
    return lines


def _line(message: Message, alert: AlertFacts) -> str:
    line = printable(f"{message.whose(alert)}: {message.why(alert)}")
    kept = line if len(line) <= _LINE else line[: _LINE - 1] + "…"
    return f"• {kept} ({message.origin(alert)})"


def _quoted(url: str) -> str:
    """Without what would end the link: angle brackets, a bar, a space."""
    return quote(url, safe=_SAFE_IN_URLS)


def _plain(text: str, limit: int) -> dict[str, Any]:
    return {"type": "plain_text", "text": escaped(text, limit), "emoji": False}
