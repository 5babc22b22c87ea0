"""The link in a message with which somebody takes its alerts on."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Final

from django.conf import settings
from django.core import signing

VALID: Final = timedelta(days=7)
_SALT: Final = "monitoring.acknowledge"


class LinkError(Exception):
    """The link is none of ours, or too old."""


def to_acknowledge(identity: uuid.UUID) -> str:
    """The address at which the alerts of a notification are acknowledged, signed and good for a week."""
    return f"{settings.MONITORING_BASE_URL}/acknowledge/{signing.TimestampSigner(salt=_SALT).sign(identity.hex)}/"


def read(token: str) -> uuid.UUID:
    """The notification that a link was sent with. Raises LinkError."""
    try:
        return uuid.UUID(signing.TimestampSigner(salt=_SALT).unsign(token, max_age=VALID))
    except (signing.BadSignature, ValueError) as error:
        msg = (
            "this link is older than a week" if isinstance(error, signing.SignatureExpired) else "this link is not one of ours"
        )
        raise LinkError(msg) from None
