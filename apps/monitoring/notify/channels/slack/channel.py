"""Notifications in Slack: by a bot, which changes its first message when things change, or by an incoming webhook.

https://docs.slack.dev/reference/methods/chat.postMessage, https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final

import orjson

from apps.monitoring.notify.channels.address import origin
from apps.monitoring.notify.channels.http import Answer, forbidden, reach
from apps.monitoring.notify.channels.outcome import NO_RECEIPT, Delivered, Outcome, Rejected
from apps.monitoring.notify.channels.progress import Progress
from apps.monitoring.notify.channels.slack.answer import error_of, judged
from apps.monitoring.notify.channels.slack.blocks import blocks, summary
from apps.monitoring.notify.message import Message
from apps.monitoring.notify.thread import Thread

_API: Final = "https://slack.com/api"
_ANSWER_BYTES: Final = 64 * 1024
_CHANNEL: Final = re.compile(r"#?[\w.-]{1,80}")
_TOKEN: Final = re.compile(r"(xox[a-z]\.)?xox[a-z]-[A-Za-z0-9-]{10,400}")
"""One that is rotated begins with xoxe.xoxb-."""
_GONE: Final = frozenset({"message_not_found", "cant_update_message", "edit_window_closed", "channel_not_found", "is_inactive"})
"""The first message cannot be changed any more, so the news is a message of its own."""
_ANEW: Final = "anew"
"""That message, among the steps whose others are the first messages by the ids of their notifications."""
_NEITHER: Final = 'the secrets are {"token": "xoxb-…"} of a bot, or {"url": "https://hooks.slack.com/…"} of an incoming webhook'


class SlackChannel:
    """``secrets``: {"token": …} with ``config`` {"channel": "#ops", "api": optional}, or {"url": …} and nothing."""

    kind = "slack"
    hears_acknowledgement = True
    keeps_threads = True
    example_config = '{"channel": "#ops"}'
    example_secrets = '{"token": "xoxb-…"}'

    def problems(self, config: Mapping[str, Any], secrets: Mapping[str, Any]) -> list[str]:
        """Neither or both of token and URL, a channel that is none, an address that may not be reached."""
        token, url = str(secrets.get("token") or ""), str(secrets.get("url") or "")
        if bool(token) == bool(url):
            return [_NEITHER]
        if url:
            return forbidden(url)
        found = forbidden(_api(config))
        if not _TOKEN.fullmatch(token):
            found.append("the token is not one of Slack's: xoxb- and letters, digits and hyphens")
        if not _CHANNEL.fullmatch(str(config.get("channel") or "")):
            found.append('"channel" is the name or the id of a channel, such as "#ops"')
        return found

    def goes_to(self, config: Mapping[str, Any]) -> str:
        """The API gets the token."""
        return origin(_api(config))

    def deliver(
        self,
        message: Message,
        config: Mapping[str, Any],
        secrets: Mapping[str, Any],
        threads: Sequence[Thread] = (),
        receipt: Mapping[str, Any] = NO_RECEIPT,
    ) -> Outcome:
        """Post, or change what was posted. Slack knows no ids of ours: a repetition is one by the id at its foot."""
        problems = self.problems(config, secrets)
        if problems:
            return Rejected("; ".join(problems))
        if secrets.get("url"):
            return _send(str(secrets["url"]), _body(message), {})
        bot = _Bot(_api(config), str(config["channel"]), str(secrets["token"]))
        if message.kind == "reminder":
            return bot.remind(message, threads, Progress("Slack", receipt))
        if message.kind in {"resolved", "acknowledged"}:
            return bot.follow_up(message, threads, Progress("Slack", receipt))
        return bot.post(message)


class _Bot:
    """The three things that a bot does."""

    def __init__(self, api: str, channel: str, token: str) -> None:
        self._api = api
        self._channel = channel
        self._headers = {"authorization": f"Bearer {token}"}

    def post(self, message: Message, **more: Any) -> Outcome:
        """A message of its own; its receipt is where it stands."""
        return self._call("chat.postMessage", {"channel": self._channel, **_body(message), **more})

    def remind(self, message: Message, threads: Sequence[Thread], progress: Progress) -> Outcome:
        """Under the first message, and in the channel as well; a first message says no longer that somebody has taken it on."""
        posted = [thread for thread in threads if thread.receipt.get("ts")]
        for thread in posted:
            if thread.taken_on and thread.waiting:
                outcome = progress.take(thread.id, partial(self._change, message, thread, Delivered))
                if not isinstance(outcome, Delivered):
                    return outcome
        more = {"thread_ts": posted[0].receipt["ts"], "reply_broadcast": True} if posted else {}
        return progress.take(_ANEW, partial(self.post, message, **more))

    def follow_up(self, message: Message, threads: Sequence[Thread], progress: Progress) -> Outcome:
        """Change each first message that this goes on with; what was never posted, or is gone, is told anew, once."""
        anew = partial(progress.take, _ANEW, partial(self.post, message))
        if not threads:
            return anew()
        for thread in threads:
            outcome = progress.take(thread.id, partial(self._change, message, thread, anew))
            if not isinstance(outcome, Delivered):
                return outcome
        return Delivered()

    def _change(self, message: Message, thread: Thread, otherwise: Callable[[], Outcome]) -> Outcome:
        """Make a first message say how it stands; ``otherwise`` when there is none any more."""
        if not thread.receipt.get("ts"):
            return otherwise()
        state = _state(message, thread)
        news = message.text if state == message.kind else ""  # else it is true of some of its tenants alone
        outcome = self._call("chat.update", {**thread.receipt, **_body(thread.message, state, news)})
        return otherwise() if error_of(outcome) in _GONE else outcome

    def _call(self, method: str, body: Mapping[str, Any]) -> Outcome:
        return _send(f"{self._api}/{method}", body, self._headers)


def _send(url: str, body: Mapping[str, Any], headers: Mapping[str, str]) -> Outcome:
    typed = {"content-type": "application/json; charset=utf-8", **headers}
    answer = reach(url, orjson.dumps(body), typed, read=_ANSWER_BYTES)
    return judged(answer) if isinstance(answer, Answer) else answer


def _body(message: Message, state: str = "", news: str = "") -> dict[str, Any]:
    return {
        "text": summary(message, state),
        "blocks": blocks(message, state, news),
        "unfurl_links": False,
        "unfurl_media": False,
    }


def _state(message: Message, thread: Thread) -> str:
    """What has become of a first message."""
    if thread.open == 0:
        return "resolved"
    if message.kind == "acknowledged" and thread.waiting == 0:
        return "acknowledged"
    ended = thread.count - thread.open
    return f"firing ({ended} of {thread.count} resolved)" if ended else "firing"


def _api(config: Mapping[str, Any]) -> str:
    return str(config.get("api") or _API).rstrip("/")
