"""Every error as RFC 9457 problem details."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Any, Final

import redis
from django.core.exceptions import PermissionDenied as DjangoPermissionDenied
from django.core.exceptions import ValidationError as DjangoValidationError
from django.db import DataError, IntegrityError, InterfaceError, OperationalError
from django.http import Http404, HttpRequest, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from rest_framework.exceptions import APIException, ValidationError
from rest_framework.response import Response
from rest_framework.views import exception_handler

from apps.monitoring.api.checked import errors
from apps.monitoring.query.deadline import SlowError
from apps.monitoring.query.errors import HotStoreUnavailableError, QuestionError, RangeError, UnknownTenantError

_log = logging.getLogger(__name__)

MEDIA_TYPE: Final = "application/problem+json"
_RETRY: Final = {503: {"Retry-After": "5"}}
"""Seconds: what is away is looked for again about as often."""


class ConflictError(APIException):
    """What is asked does not go with how things are."""

    status_code = 409
    default_code = "conflict"


def details(status: int, detail: str, **more: Any) -> dict[str, Any]:
    """The body: type, title, status, detail and whatever else helps."""
    return {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": detail, **more}


def handle(error: Exception, context: dict[str, Any]) -> Response:
    """The framework's exception handler."""
    if isinstance(error, DjangoValidationError):  # somebody else's edit came between the check and the save
        error = ValidationError(errors(error))
    known = _known(error)
    if known is not None:
        return Response(details(*known), status=known[0], content_type=MEDIA_TYPE, headers=_RETRY.get(known[0]))
    response = exception_handler(error, context)
    if response is None:
        _log.error("an API request failed", exc_info=error)
        return Response(details(500, "The request failed; the reason is in the server's log."), 500, content_type=MEDIA_TYPE)
    more = {}
    if isinstance(error, APIException) and isinstance(error.detail, dict | list):
        more = {"errors": error.detail}
    detail = "The request is not valid." if more else str(getattr(error, "detail", error))
    response.data = details(response.status_code, detail, **more)
    response.content_type = MEDIA_TYPE
    return response


def _known(error: Exception) -> tuple[int, str] | None:
    if isinstance(error, RangeError | QuestionError):
        return 400, str(error)
    if isinstance(error, UnknownTenantError):
        return 404, str(error)
    if isinstance(error, Http404):
        return 404, "There is nothing here."
    if isinstance(error, DjangoPermissionDenied):
        return 403, "This is not allowed."
    if isinstance(error, HotStoreUnavailableError | redis.RedisError):
        return 503, "The hot store does not answer, so the numbers would be wrong. Try again."
    if isinstance(error, IntegrityError):
        return 409, "Somebody else has edited this at the same time. Look again, and try again."
    if isinstance(error, DataError):
        return 400, "The body holds something that the database cannot keep, such as the character 0."
    if isinstance(error, SlowError):
        return 503, str(error)
    if isinstance(error, OperationalError | InterfaceError):
        return 503, "The database does not answer. Try again."
    return None


@csrf_exempt  # a program has no cookie, and here is nothing that could be forged
def not_found(request: HttpRequest, *_: object) -> JsonResponse:
    """For addresses under /api/ that do not exist."""
    hint = " No address of the API ends with a slash." if request.path.endswith("/") else ""
    return JsonResponse(details(404, f"There is nothing at this address.{hint}"), status=404, content_type=MEDIA_TYPE)
