"""Errors of the product go to Sentry without what identifies somebody."""

from __future__ import annotations

from typing import Any

import sentry_sdk
from sentry_sdk.envelope import Envelope
from sentry_sdk.transport import Transport

from apps.monitoring.logs.sentry import before_send


def look_up(mail: str) -> None:
    raise ValueError(f"no user {mail} with card 4111 1111 1111 1111")


def test_an_event_of_the_sdk_is_redacted_and_keeps_its_shape() -> None:
    sent: list[Any] = []

    class Kept(Transport):
        def capture_envelope(self, envelope: Envelope) -> None:
            sent.append(envelope.get_event())

    client = sentry_sdk.Client(dsn="http://key@127.0.0.1:1/1", transport=Kept, before_send=before_send)
    with sentry_sdk.new_scope() as scope:
        scope.set_client(client)
        scope.set_extra("mail", "mia@example.com")
        try:
            look_up("mia@example.com")
        except ValueError as error:
            event_id = scope.capture_exception(error)
    (event,) = sent
    assert event["event_id"] == event_id
    (raised,) = event["exception"]["values"]
    assert (raised["type"], raised["value"]) == ("ValueError", "no user [email] with card [card]")
    assert raised["stacktrace"]["frames"][-1]["function"] == "look_up"
    assert event["extra"]["mail"] == "[email]"
