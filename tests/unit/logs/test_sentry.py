"""Errors of the product go to Sentry without what identifies somebody."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import sentry_sdk
from sentry_sdk.envelope import Envelope
from sentry_sdk.transport import Transport

from apps.monitoring import logs
from apps.monitoring.logs.sentry import before_send

TEXT = "no user mia@example.com with card 4111 1111 1111 1111"
Send = Callable[..., dict[str, Any]]


def look_up(mail: str) -> None:
    raise ValueError(f"no user {mail} with card 4111 1111 1111 1111")


@pytest.fixture
def send() -> Send:
    """Everything that the SDK can say, and what of it is sent."""

    def event(**options: Any) -> dict[str, Any]:
        sent: list[Any] = []

        class Kept(Transport):
            def capture_envelope(self, envelope: Envelope) -> None:
                sent.append(json.loads(json.dumps(envelope.get_event())))

        client = sentry_sdk.Client(dsn="http://key@127.0.0.1:1/1", transport=Kept, before_send=before_send, **options)
        with sentry_sdk.new_scope() as scope:
            scope.set_client(client)
            scope.set_extra("mail", TEXT)
            scope.set_context("order", {"note": TEXT, "weight": 2})
            scope.set_tag("mail", TEXT)
            scope.set_user({"email": "mia@example.com", "username": "the customer"})
            scope.set_transaction_name("/customers/mia@example.com")
            scope.add_breadcrumb(message=TEXT, data={"said": TEXT, "number": 7})
            try:
                look_up("mia@example.com")
            except ValueError as error:
                event_id = scope.capture_exception(error)
        (found,) = sent
        assert found["event_id"] == event_id
        return found  # type: ignore[no-any-return]

    return event


@pytest.fixture
def nothing_kept() -> Iterator[None]:
    logs.configure(path="", content_mode="none")
    yield
    logs.configure(path="")


def test_an_event_of_the_sdk_is_redacted_and_keeps_its_shape(send: Send) -> None:
    event = send()
    (raised,) = event["exception"]["values"]
    assert (raised["type"], raised["value"]) == ("ValueError", "no user [email] with card [card]")
    assert raised["stacktrace"]["frames"][-1]["function"] == "look_up"
    assert event["extra"]["mail"] == "no user [email] with card [card]"


def test_no_part_of_an_event_identifies_anybody(send: Send) -> None:
    event = send(attach_stacktrace=True, include_source_context=False)
    assert event["contexts"]["order"] == {"note": "no user [email] with card [card]", "weight": 2}
    assert event["transaction"] == "/customers/[email]"
    assert len(event["contexts"]["trace"]["trace_id"]) == 32
    said = json.dumps(event)
    assert "mia@" not in said
    assert "4111" not in said


def test_threads_are_redacted_too() -> None:
    thread = {"name": "mia@example.com", "stacktrace": {"frames": [{"function": "f", "vars": {"said": TEXT}}]}}
    event = before_send({"event_id": "e", "threads": {"values": [thread]}, "unheard_of": [TEXT]}, {})
    assert "mia@" not in json.dumps(event)


@pytest.mark.usefixtures("nothing_kept")
def test_in_mode_none_nothing_that_somebody_wrote_goes_out(send: Send) -> None:
    event = send(include_source_context=False)
    (raised,) = event["exception"]["values"]
    assert (raised["type"], raised["value"]) == ("ValueError", "[text]")
    assert event["contexts"]["order"] == {"note": "[text]", "weight": 2}
    assert event["contexts"]["runtime"]["name"] == "CPython"
    assert event["breadcrumbs"]["values"][0]["data"] == {"said": "[text]", "number": 7}
    said = json.dumps({name: part for name, part in event.items() if name != "tags"})
    assert "no user" not in said
    assert "the customer" not in said


@pytest.mark.usefixtures("nothing_kept")
def test_in_mode_none_a_message_of_the_code_stays_and_its_parameters_do_not() -> None:
    told = {"message": "no user %s", "params": ["the customer"], "formatted": "no user the customer"}
    assert before_send({"logentry": dict(told)}, {})["logentry"] == {
        "message": "no user %s",
        "params": ["[text]"],
        "formatted": "[text]",
    }
    assert before_send({"logentry": {"message": "no user the customer"}}, {})["logentry"] == {"message": "[text]"}
    thread = {"stacktrace": {"frames": [{"vars": {"said": "the customer"}}]}}
    assert "the customer" not in json.dumps(before_send({"threads": {"values": [thread]}, "message": "the customer"}, {}))
