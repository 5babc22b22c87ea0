"""Notifications as signed HTTP requests: Standard Webhooks (https://www.standardwebhooks.com)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson

from apps.monitoring.notify.channels.address import origin
from apps.monitoring.notify.channels.http import Answer, forbidden, judge, reach
from apps.monitoring.notify.channels.outcome import NO_RECEIPT, Outcome, Rejected
from apps.monitoring.notify.message import Message
from apps.monitoring.notify.thread import Thread

_PREFIX: Final = "whsec_"
_MALFORMED: Final = "the secret is whsec_ and the base64 of 24 to 64 bytes"
_KEY_BYTES: Final = range(24, 65)


class WebhookChannel:
    """``config``: {"url": …}; ``secrets``: {"secret": "whsec_…"} or nothing, and then nothing is signed."""

    kind = "webhook"
    hears_acknowledgement = False
    keeps_threads = False
    example_config = '{"url": "https://example.com/hook"}'
    example_secrets = '{"secret": "whsec_…"}'

    def problems(self, config: Mapping[str, Any], secrets: Mapping[str, Any]) -> list[str]:
        """An address that may not be reached, a secret that is none."""
        found = forbidden(str(config.get("url") or ""))
        if secrets.get("secret") and key_of(secrets["secret"]) is None:
            found.append(_MALFORMED)
        return found

    def goes_to(self, config: Mapping[str, Any]) -> str:
        """What is signed for one receiver could be played back to another."""
        return origin(str(config.get("url") or ""))

    def deliver(
        self,
        message: Message,
        config: Mapping[str, Any],
        secrets: Mapping[str, Any],
        threads: Sequence[Thread] = (),  # noqa: ARG002
        receipt: Mapping[str, Any] = NO_RECEIPT,  # noqa: ARG002
    ) -> Outcome:
        """POST the payload to the address that was judged, under the name that was configured."""
        secret = secrets.get("secret")
        key = key_of(secret) if secret else None
        if secret and key is None:
            return Rejected(_MALFORMED)  # an unsigned request would be taken for a forged one
        body = orjson.dumps(message.payload())
        headers = {"content-type": "application/json", **signed(message.id, int(time.time()), body, key)}
        answer = reach(str(config.get("url") or ""), body, headers)
        return judge(answer.status, answer.headers, time.time()) if isinstance(answer, Answer) else answer


def signed(identity: str, timestamp: int, body: bytes, key: bytes | None) -> dict[str, str]:
    """The headers of Standard Webhooks: id, timestamp, and the signature of both with the body."""
    headers = {"webhook-id": identity, "webhook-timestamp": str(timestamp)}
    if key is not None:
        digest = hmac.new(key, f"{identity}.{timestamp}.".encode() + body, hashlib.sha256).digest()
        headers["webhook-signature"] = "v1," + base64.b64encode(digest).decode()
    return headers


def key_of(secret: object) -> bytes | None:
    """The bytes that a secret stands for, None when it stands for none or for too few or too many."""
    try:
        key = base64.b64decode(str(secret).removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        return None
    return key if len(key) in _KEY_BYTES else None
