"""A field whose value is encrypted at rest."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.db import models


class SecretUnreadableError(Exception):
    """A stored secret was written under a key that the settings no longer hold."""


def _keyring() -> MultiFernet:
    """The first key encrypts; every key may decrypt, so a key can be rotated by prepending the new one."""
    keys = settings.MONITORING_ENCRYPTION_KEYS or [settings.SECRET_KEY]
    return MultiFernet([Fernet(base64.urlsafe_b64encode(hashlib.sha256(k.encode()).digest())) for k in keys])


class EncryptedJSONField(models.TextField):  # type: ignore[type-arg]
    """JSON, stored as a Fernet token (AES-128-CBC with HMAC-SHA256)."""

    def get_prep_value(self, value: Any) -> str:
        """Encrypt."""
        return _keyring().encrypt(json.dumps(value or {}).encode()).decode()

    def from_db_value(self, value: str | None, *_: object) -> Any:
        """Decrypt; raises SecretUnreadableError with the remedy."""
        if not value:
            return {}
        try:
            return json.loads(_keyring().decrypt(value.encode()))
        except InvalidToken:
            msg = "a channel secret cannot be decrypted: add the key it was written with to MONITORING_ENCRYPTION_KEYS"
            raise SecretUnreadableError(msg) from None

    def to_python(self, value: Any) -> Any:
        """Forms hand over text."""
        return json.loads(value) if isinstance(value, str) and value else value or {}
