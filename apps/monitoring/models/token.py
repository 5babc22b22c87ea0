"""Tokens of the HTTP API."""

from __future__ import annotations

import hashlib
import secrets

from django.db import models

from apps.monitoring.logs.credentials import API_TOKEN
from apps.monitoring.models.snapshot import TENANT_MAX_LENGTH


class ApiToken(models.Model):
    """Opens the API for one tenant, or for all: to look, to look and change things, or to record and nothing else.

    Only a hash is stored: the token is shown once, when made.
    """

    name = models.CharField(max_length=100)
    tenant = models.CharField(max_length=TENANT_MAX_LENGTH, blank=True, help_text="Empty: every tenant.")
    can_write = models.BooleanField(
        "may change things", default=False, help_text="Without it the token only reads. docs/api.md says what it opens."
    )
    can_record = models.BooleanField(
        "may record interactions",
        default=False,
        help_text="For an agent: with it the token records, and neither reads nor changes anything.",
    )
    digest = models.CharField(max_length=64, unique=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    last_used_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=~models.Q(can_write=True, can_record=True),
                name="monitoring_token_of_one_use",
                violation_error_message="A token that records does nothing else: make another one that may change things.",
            )
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.tenant or 'all tenants'})"

    @staticmethod
    def digest_of(token: str) -> str:
        """SHA-256 in hex. The token has 256 random bits, so a slow password hash would add nothing."""
        return hashlib.sha256(token.encode()).hexdigest()

    @classmethod
    def issue(cls, name: str, tenant: str = "", *, can_write: bool = False, can_record: bool = False) -> tuple[ApiToken, str]:
        """Make a token; the second value is the secret, to be shown once."""
        secret = API_TOKEN + secrets.token_urlsafe(32)
        made = cls.objects.create(
            name=name, tenant=tenant, can_write=can_write, can_record=can_record, digest=cls.digest_of(secret)
        )
        return made, secret
