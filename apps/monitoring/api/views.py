"""What the addresses answer."""

from __future__ import annotations

from typing import Any, Final

from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.authentication import BaseAuthentication
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.monitoring import status
from apps.monitoring.api import parameters, problem
from apps.monitoring.api.serializers import PARTS, READINESS, SERIES, SUMMARY, HealthSerializer, ProblemSerializer
from apps.monitoring.api.tenancy import visible
from apps.monitoring.catalogue import RATIOS
from apps.monitoring.core.rules import Statistic
from apps.monitoring.query import series, summary, window
from apps.monitoring.query.series import Question, Range

_RANGE: Final = (
    OpenApiParameter("tenant", str, description="Without it: all together, or the token's own tenant."),
    OpenApiParameter("window", str, description="A range that ends now, such as 15m, 1h, 7d. Default: 1h."),
    OpenApiParameter("from", OpenApiTypes.DATETIME, description="Start, included."),
    OpenApiParameter("to", OpenApiTypes.DATETIME, description="End, not included. Default: now."),
)
_NAMES: Final = frozenset(one.name for one in _RANGE)
_PROBLEMS: Final = {(code, problem.MEDIA_TYPE): ProblemSerializer for code in (400, 401, 403, 404, 503)}


class SummaryView(APIView):
    """The summary of a tenant, or of all together."""

    @extend_schema(
        operation_id="metrics_summary",
        tags=["metrics"],
        summary="Summary of a range, live to the second",
        parameters=list(_RANGE),
        responses={200: SUMMARY, **_PROBLEMS},
    )
    def get(self, request: Request) -> Response:
        """Times in ms, costs in USD, rates as shares of 1. A statistic without samples is null, never 0."""
        query = request.query_params
        tenant = visible(request, query.get("tenant"))
        parameters.check(request, _NAMES)
        start, end = window.parse(query.get("window"), query.get("from"), query.get("to"), timezone.now())
        return Response(summary.shared(tenant, start, end))


class SeriesView(APIView):
    """One statistic of one metric, step by step."""

    @extend_schema(
        operation_id="metrics_series",
        tags=["metrics"],
        summary="A statistic step by step, live to the second",
        parameters=[
            OpenApiParameter("metric", str, required=True, description="A metric, a ratio, or user.<name>."),
            OpenApiParameter(
                "stat",
                str,
                description="p50 p95 p99 mean min max sum count rate ratio. Default: ratio of a ratio, otherwise count.",
            ),
            *_RANGE,
            OpenApiParameter(
                "step", str, description="Minutes that divide a day: 1m, 5m, 1h, 1d. Default: as fine as a chart can show."
            ),
            OpenApiParameter("group_by", str, description="A label of the metric: a line for each of its values."),
        ],
        responses={200: SERIES, **_PROBLEMS},
    )
    def get(self, request: Request) -> Response:
        """A value is null where nothing was recorded that it could be made of; a count or rate of nothing is 0."""
        query = request.query_params
        tenant = visible(request, query.get("tenant"))
        parameters.check(request, {*_NAMES, "metric", "stat", "step", "group_by"})
        metric = query.get("metric") or ""
        default = Statistic.RATIO if metric in RATIOS else Statistic.COUNT
        question = Question(metric, query.get("stat") or default, query.get("group_by") or None)
        start, end = window.parse(query.get("window"), query.get("from"), query.get("to"), timezone.now())
        return Response(series.shared(tenant, question, Range.covering(start, end, window.step(query.get("step")))))


class OpenView(APIView):
    """For load balancers: nobody signs in, and no dependency is touched on the way in."""

    authentication_classes: list[type[BaseAuthentication]] = []
    permission_classes: list[type[BasePermission]] = []


class HealthView(OpenView):
    """Liveness."""

    @extend_schema(operation_id="healthz", tags=["health"], summary="Liveness", auth=[], responses={200: HealthSerializer})
    def get(self, request: Request) -> Response:  # noqa: ARG002 - the framework's signature
        """The process answers; it says nothing of anything else."""
        return Response({"status": "ok"})


class ReadyView(OpenView):
    """Readiness."""

    @extend_schema(
        operation_id="readyz", tags=["health"], summary="Readiness", auth=[], responses={200: READINESS, 503: READINESS}
    )
    def get(self, request: Request) -> Response:  # noqa: ARG002 - the framework's signature
        """Each dependency by name: ok, failing, or unknown when another one keeps it from being seen."""
        found = status.status(timezone.now())
        dependencies = {part: _state(part, found) for part in PARTS}
        ready = "failing" not in dependencies.values()
        body: dict[str, Any] = {"status": "ok" if ready else "failing", "dependencies": dependencies}
        return Response(body, status=200 if ready else 503)


def _state(part: str, found: status.Status) -> str:
    if part in found.failing:
        return "failing"
    return "ok" if part == "database" or part in found.details else "unknown"
