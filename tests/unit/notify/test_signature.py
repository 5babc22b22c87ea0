"""The signature of Standard Webhooks."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from apps.monitoring.notify.channels.webhook.channel import WebhookChannel, key_of, signed

SECRET = "whsec_" + base64.b64encode(b"twenty-four bytes or more").decode()


def test_it_is_that_of_the_published_vector(recordings: Path) -> None:
    vector = json.loads((recordings / "alert_semantics" / "standard_webhooks.json").read_text())["vector"]
    headers = signed(vector["id"], vector["timestamp"], vector["body"].encode(), key_of(vector["secret"]))
    assert headers == {
        "webhook-id": vector["id"],
        "webhook-timestamp": str(vector["timestamp"]),
        "webhook-signature": vector["signature"],
    }


@pytest.mark.parametrize("secret", [SECRET, SECRET.removeprefix("whsec_")])
def test_the_reference_library_takes_it_with_or_without_the_prefix(secret: str) -> None:
    from time import time

    headers = signed("id", int(time()), b'{"a": 1}', key_of(secret))
    assert Webhook(secret).verify(b'{"a": 1}', headers) == {"a": 1}
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(b'{"a": 2}', headers)


def test_without_a_secret_there_is_no_signature() -> None:
    assert signed("id", 1, b"", None) == {"webhook-id": "id", "webhook-timestamp": "1"}


@pytest.mark.parametrize(
    "secret",
    [
        "whsec_",
        "whsec_not base64",
        "whsec_" + base64.b64encode(b"x" * 23).decode(),
        "whsec_" + base64.b64encode(b"x" * 65).decode(),
        "geheim",
        "ünïcode",
    ],
)
def test_a_secret_that_is_none_is_a_problem_that_does_not_repeat_it(secret: str) -> None:
    problems = WebhookChannel().problems({"url": "https://93.184.215.14/"}, {"secret": secret})
    assert problems == ["the secret is whsec_ and the base64 of 24 to 64 bytes"]
