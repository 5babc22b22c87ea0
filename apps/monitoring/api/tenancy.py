"""Tenants are walls: the one place that says who may see what, and who may change it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeVar

from django.db.models import Model, Q, QuerySet
from rest_framework.exceptions import PermissionDenied
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from apps.monitoring.core.rules import Scope
from apps.monitoring.interactions.sender import ELSEWHERE
from apps.monitoring.models import Alert, AlertRule, ApiToken, Silence

if TYPE_CHECKING:
    # The framework's views import this module while they are imported.
    from rest_framework.views import APIView

Row = TypeVar("Row", bound=Model)

VIEW, ADD, CHANGE, DELETE = "view", "add", "change", "delete"
_NEEDED: Final[Mapping[str | None, str]] = {
    "list": VIEW,
    "retrieve": VIEW,
    "metadata": VIEW,
    None: VIEW,  # a method that the address does not know: it will say so
    "create": ADD,
    "update": CHANGE,
    "partial_update": CHANGE,
    "destroy": DELETE,
}
"""What each action of the framework needs; other actions say it themselves, in the view's ``needed``."""


def _by_name(tenant: str) -> Q:
    """Silences that name the tenant, nobody else, and no beginning of names."""
    return Q(pk__in=[]) if tenant.endswith("*") else Q(tenants=[tenant])


_OF_TENANT: Final[Mapping[type[Model], Callable[[str], Q]]] = {
    Alert: lambda tenant: Q(tenant=tenant),
    AlertRule: lambda tenant: Q(scope=Scope.ONE_TENANT, tenant=tenant),
    Silence: _by_name,
}
"""The rows that a token bound to a tenant sees. What is not here is closed to it."""
_MAY_ALSO: Final[Mapping[type[Model], frozenset[str]]] = {
    Alert: frozenset({CHANGE}),
    Silence: frozenset({ADD, CHANGE}),
}
"""What a token bound to a tenant may do besides looking, if it may change things at all."""


class HasAccess(BasePermission):
    """A token that looks, or a signed-in member of staff."""

    def has_permission(self, request: Request, view: APIView) -> bool:  # noqa: ARG002 - the framework's signature
        """Whether the request may ask anything at all."""
        if not isinstance(request.auth, ApiToken):
            return bool(request.user and request.user.is_staff)
        if request.auth.can_record:
            raise PermissionDenied("The token only records.")
        return True


class MayRecord(BasePermission):
    """A token that records."""

    def has_permission(self, request: Request, view: APIView) -> bool:  # noqa: ARG002 - the framework's signature
        """Whether the request may record for any tenant; for which is said line by line."""
        if isinstance(request.auth, ApiToken) and not request.auth.can_record:
            raise PermissionDenied("The token does not record: make one that may in the admin.")
        return isinstance(request.auth, ApiToken)


class MayUse(HasAccess):
    """Tokens by what they are for, members of staff by their permissions on the model."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        """Whether the request may do this to any row; which rows there are is said by `own`."""
        if not super().has_permission(request, view):
            return False
        action = getattr(view, "action", None)
        needed = getattr(view, "needed", {}).get(action) or _NEEDED.get(action)
        if needed is None:
            return False
        model = view.queryset.model  # type: ignore[attr-defined]  # every view of rows has one
        reason = self._why_not(request, model, needed)
        if reason:
            raise PermissionDenied(reason)
        return True

    def _why_not(self, request: Request, model: type[Model], needed: str) -> str:
        token = request.auth
        if not isinstance(token, ApiToken):
            return "" if _may(request, model, needed) else "Your account has no permission for this."
        if token.tenant and model not in _OF_TENANT:
            return "The token is bound to a tenant, and this belongs to no tenant."
        if needed != VIEW and not token.can_write:
            return "The token only reads."
        if token.tenant and needed != VIEW and needed not in _MAY_ALSO.get(model, ()):
            return "The token is bound to a tenant: it does not change this."
        return ""


def bound(request: Request) -> str:
    """The tenant that the request is bound to; empty: to none."""
    return request.auth.tenant if isinstance(request.auth, ApiToken) else ""


def visible(request: Request, asked: str | None) -> str | None:
    """The tenant a request may see of the one it asked for; None is all together.

    A token bound to a tenant that asks for nothing gets its own. Raises PermissionDenied, with the same words whether
    the other tenant exists or not.
    """
    mine = bound(request)
    if not mine:
        return asked or None
    if asked not in {None, "", mine}:
        raise PermissionDenied(ELSEWHERE)
    return mine


def own(request: Request, rows: QuerySet[Row]) -> QuerySet[Row]:
    """The rows that there are for the request: what another tenant has does not exist."""
    mine = bound(request)
    if not mine:
        return rows
    rule = _OF_TENANT.get(rows.model)
    return rows.none() if rule is None else rows.filter(rule(mine))


def may_change(request: Request, model: type[Model]) -> bool:
    """Whether the request may change rows of the model, or is made by staff who see all of it anyway."""
    token = request.auth
    return not isinstance(token, ApiToken) or (token.can_write and (not token.tenant or CHANGE in _MAY_ALSO.get(model, ())))


def judging_own(request: Request, values: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a rule that is tried out, such that it judges nobody whom the request may not see.

    Raises PermissionDenied in the words of `visible`.
    """
    mine = bound(request)
    if not mine:
        return dict(values)
    visible(request, values.get("tenant"))
    if values.get("scope", Scope.ONE_TENANT) != Scope.ONE_TENANT:
        msg = "The token is bound to a tenant: the scope is one_tenant."
        raise PermissionDenied(msg)
    return {**values, "scope": Scope.ONE_TENANT.value, "tenant": mine}


def silencing_own(request: Request, tenants: list[str] | None) -> list[str] | None:
    """The tenants that a silence may name of those it was given; None stays None. Raises PermissionDenied as `visible` does."""
    mine = bound(request)
    if not mine:
        return tenants
    for tenant in tenants or ():
        visible(request, tenant)
    if mine.endswith("*"):
        msg = "The token is bound to a tenant whose name ends with *, which a silence takes for the beginning of names."
        raise PermissionDenied(msg)
    return [mine]


def _may(request: Request, model: type[Model], needed: str) -> bool:
    return bool(request.user.has_perm(f"monitoring.{needed}_{model._meta.model_name}"))  # noqa: SLF001 - Django's public name
