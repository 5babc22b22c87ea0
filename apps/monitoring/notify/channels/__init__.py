"""The kinds of channels. Each is a folder with everything of its own; adding one adds a line here."""

from __future__ import annotations

from typing import Final

from apps.monitoring.notify.channels.channel import ChannelHandler
from apps.monitoring.notify.channels.custom.channel import CustomChannel
from apps.monitoring.notify.channels.email.channel import EmailChannel
from apps.monitoring.notify.channels.log.channel import LogChannel
from apps.monitoring.notify.channels.pagerduty.channel import PagerDutyChannel
from apps.monitoring.notify.channels.sentry.channel import SentryChannel
from apps.monitoring.notify.channels.slack.channel import SlackChannel
from apps.monitoring.notify.channels.webhook.channel import WebhookChannel

_HANDLERS: Final[dict[str, ChannelHandler]] = {
    handler.kind: handler
    for handler in (
        LogChannel(),
        EmailChannel(),
        WebhookChannel(),
        SentryChannel(),
        SlackChannel(),
        PagerDutyChannel(),
        CustomChannel(),
    )
}
KINDS: Final = tuple(_HANDLERS)
HEARING_ACKNOWLEDGEMENTS: Final = tuple(kind for kind, handler in _HANDLERS.items() if handler.hears_acknowledgement)


class UnknownChannelError(LookupError):
    """There is no such kind of channel."""


def get(kind: str) -> ChannelHandler:
    """The handler of a kind. Raises UnknownChannelError."""
    try:
        return _HANDLERS[kind]
    except KeyError:
        msg = f"there is no channel of kind {kind!r}: {', '.join(KINDS)}"
        raise UnknownChannelError(msg) from None
