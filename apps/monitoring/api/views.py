"""What the addresses answer."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, JsonResponse
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.monitoring import status
from apps.monitoring.api.serializers import ProblemSerializer, SummarySerializer
from apps.monitoring.api.tenancy import visible
from apps.monitoring.query import window
from apps.monitoring.query.summary import summary


class SummaryView(APIView):
    """The summary of a tenant, or of all together."""

    @extend_schema(
        operation_id="metrics_summary",
        summary="Summary of a range, live to the second",
        parameters=[
            OpenApiParameter("tenant", str, description="Without it: all together, or the token's own tenant."),
            OpenApiParameter("window", str, description="A range that ends now, such as 15m, 1h, 7d. Default: 1h."),
            OpenApiParameter("from", OpenApiTypes.DATETIME, description="Start, included."),
            OpenApiParameter("to", OpenApiTypes.DATETIME, description="End, not included. Default: now."),
        ],
        responses={
            200: SummarySerializer,
            **dict.fromkeys([400, 401, 403, 404, 503], ProblemSerializer),
        },
    )
    def get(self, request: Request) -> Response:
        """Read it."""
        tenant = visible(request, request.query_params.get("tenant"))
        query = request.query_params
        start, end = window.parse(query.get("window"), query.get("from"), query.get("to"), timezone.now())
        return Response(summary(tenant, start, end))


def healthz(request: HttpRequest) -> JsonResponse:  # noqa: ARG001 - the framework's signature
    """The process answers; it says nothing of anything else."""
    return JsonResponse({"status": "ok"})


def readyz(request: HttpRequest) -> JsonResponse:  # noqa: ARG001 - the framework's signature
    """Whether every dependency does its work, each by name. 503 when one does not."""
    found = status.status(timezone.now())
    body: dict[str, Any] = {
        "status": "ok" if found.healthy else "failing",
        "dependencies": {name: _part(name, found) for name in ("database", "hot_store", "rollup", "evaluation")},
    }
    return JsonResponse(body, status=200 if found.healthy else 503)


def _part(name: str, found: status.Status) -> str:
    return "failing" if name in found.failing else "ok"
