"""Bearer tokens."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from django.contrib.auth.models import AnonymousUser
from django.utils import timezone
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from apps.monitoring.audit import actor
from apps.monitoring.models import ApiToken

_TOUCH: Final = timedelta(minutes=1)
"""How old `last_used_at` may be: a busy client costs one write in this time, not one a request."""


class TokenAuthentication(BaseAuthentication):
    """``Authorization: Bearer amt_…``. The token is looked up by its digest, so timing tells nothing about it."""

    def authenticate(self, request: Request) -> tuple[AnonymousUser, ApiToken] | None:
        """The token of the request; None without one. Raises AuthenticationFailed."""
        scheme, _, secret = get_authorization_header(request).decode("latin-1").partition(" ")
        if scheme.lower() != "bearer":
            return None
        token = ApiToken.objects.filter(digest=ApiToken.digest_of(secret.strip())).first()
        if token is None:
            msg = "The token is not known."
            raise AuthenticationFailed(msg)
        now = timezone.now()
        if token.last_used_at is None or token.last_used_at < now - _TOUCH:
            ApiToken.objects.filter(pk=token.pk).update(last_used_at=now)
        actor.be(f"token {token.name}")
        return AnonymousUser(), token

    def authenticate_header(self, request: Request) -> str:  # noqa: ARG002 - the framework's signature
        """What a 401 asks for."""
        return 'Bearer realm="agent monitoring"'


class TokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """How the OpenAPI schema shows the tokens."""

    target_class = TokenAuthentication
    name = "token"

    def get_security_definition(self, auto_schema: object) -> dict[str, str]:  # noqa: ARG002 - the framework's signature
        """A bearer token."""
        return {"type": "http", "scheme": "bearer"}
