"""Notifications as signed HTTP requests: Standard Webhooks (https://www.standardwebhooks.com)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import time
from collections.abc import Mapping
from typing import Any, Final

import httpx
import orjson
from django.conf import settings

from apps.monitoring.notify.channels.http import judge
from apps.monitoring.notify.channels.outcome import Outcome, Rejected, Retry
from apps.monitoring.notify.channels.webhook.address import ForbiddenAddressError, UnresolvedError, resolve
from apps.monitoring.notify.message import Message

_TIMEOUT: Final = httpx.Timeout(10.0, connect=5.0)
_PREFIX: Final = "whsec_"


class WebhookChannel:
    """``config``: {"url": …}; ``secrets``: {"secret": "whsec_…"} or nothing, and then nothing is signed."""

    kind = "webhook"

    def problems(self, config: Mapping[str, Any], secrets: Mapping[str, Any]) -> list[str]:
        """An address that may not be reached, a secret that is none."""
        found = []
        try:
            resolve(str(config.get("url") or ""), settings.MONITORING_ALLOWED_WEBHOOK_HOSTS)
        except ForbiddenAddressError as error:
            found.append(str(error))
        except UnresolvedError:
            pass  # a name may be down while a rule is edited
        if secrets.get("secret") and _key(secrets["secret"]) is None:
            found.append("the secret is whsec_ and base64 of 24 to 64 bytes")
        return found

    def deliver(self, message: Message, config: Mapping[str, Any], secrets: Mapping[str, Any]) -> Outcome:
        """POST the payload; redirects are not followed, a long answer is not read."""
        try:
            target = resolve(str(config.get("url") or ""), settings.MONITORING_ALLOWED_WEBHOOK_HOSTS)
        except ForbiddenAddressError as error:
            return Rejected(str(error))
        except UnresolvedError as error:
            return Retry(str(error))
        body = orjson.dumps(message.payload())
        headers = {"content-type": "application/json", "host": target.host_header, "user-agent": "agent-monitoring"}
        headers |= signed(message.id, int(time.time()), body, secrets.get("secret") or "")
        try:
            with (
                httpx.Client(timeout=_TIMEOUT, trust_env=False, follow_redirects=False) as client,
                client.stream(
                    "POST", target.url, content=body, headers=headers, extensions={"sni_hostname": target.host}
                ) as response,
            ):
                return judge(response.status_code, response.headers, time.time())
        except httpx.HTTPError as error:
            return Retry(f"{target.host} cannot be reached: {type(error).__name__}")


def signed(identity: str, timestamp: int, body: bytes, secret: str) -> dict[str, str]:
    """The headers of Standard Webhooks: id, timestamp, and the signature of both with the body."""
    headers = {"webhook-id": identity, "webhook-timestamp": str(timestamp)}
    key = _key(secret) if secret else None
    if key is not None:
        content = f"{identity}.{timestamp}.".encode() + body
        digest = hmac.new(key, content, hashlib.sha256).digest()
        headers["webhook-signature"] = "v1," + base64.b64encode(digest).decode()
    return headers


def _key(secret: object) -> bytes | None:
    try:
        return base64.b64decode(str(secret).removeprefix(_PREFIX), validate=True) or None
    except (binascii.Error, ValueError):
        return None
