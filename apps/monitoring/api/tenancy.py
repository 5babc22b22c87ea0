"""Tenants are walls: the one place that says who may see what."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rest_framework.exceptions import PermissionDenied
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from apps.monitoring.models import ApiToken

if TYPE_CHECKING:
    # The framework's views import this module while they are imported.
    from rest_framework.views import APIView


class HasAccess(BasePermission):
    """A token, or a signed-in member of staff."""

    def has_permission(self, request: Request, view: APIView) -> bool:  # noqa: ARG002 - the framework's signature
        """Whether the request may ask anything at all."""
        return isinstance(request.auth, ApiToken) or bool(request.user and request.user.is_staff)


def visible(request: Request, asked: str | None) -> str | None:
    """The tenant a request may see of the one it asked for; None is all together.

    A token bound to a tenant that asks for nothing gets its own. Raises PermissionDenied, with the same words whether
    the other tenant exists or not.
    """
    bound = request.auth.tenant if isinstance(request.auth, ApiToken) else ""
    if not bound:
        return asked or None
    if asked not in {None, "", bound}:
        msg = "The token is bound to another tenant."
        raise PermissionDenied(msg)
    return bound
