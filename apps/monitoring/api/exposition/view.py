"""`GET /metrics`: what Prometheus scrapes."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from django.http import HttpResponse
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from prometheus_client import CollectorRegistry, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4 as PLAIN
from prometheus_client.exposition import choose_encoder, generate_latest, gzip_accepted
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.serializers import ValidationError
from rest_framework.views import APIView

from apps.monitoring import status
from apps.monitoring.alerts import firing
from apps.monitoring.api import parameters, problem
from apps.monitoring.api.exposition import machinery, recorded
from apps.monitoring.api.serializers import ProblemSerializer
from apps.monitoring.api.tenancy import bound, visible
from apps.monitoring.core.prometheus import TENANT
from apps.monitoring.core.series import GLOBAL
from apps.monitoring.query import cache, today

MOST_TENANTS: Final = 50
"""By name, of one scrape."""
OPENMETRICS: Final = "application/openmetrics-text"

Encoder = Callable[[CollectorRegistry], bytes]


@dataclass(frozen=True, slots=True)
class Scope:
    """Of whom a scrape is. ``named``: they were asked for by name, and have a label of it."""

    tenants: tuple[str, ...]
    named: bool

    @property
    def whole(self) -> bool:
        """Whether it is of all together, and of the product itself."""
        return self.tenants == (GLOBAL,)


class _Json(BaseContentNegotiation):
    """Of errors alone: what is scraped is encoded by what Prometheus says that it takes."""

    def select_parser(self, request: Request, parsers: Iterable[BaseParser]) -> BaseParser:  # noqa: ARG002 - the framework's
        """The first."""
        return next(iter(parsers))

    def select_renderer(
        self,
        request: Request,  # noqa: ARG002 - the framework's signature
        renderers: Iterable[BaseRenderer],
        format_suffix: str | None = None,  # noqa: ARG002 - the same
    ) -> tuple[BaseRenderer, str]:
        """The first."""
        first = next(iter(renderers))
        return first, str(first.media_type)


class MetricsView(APIView):
    """What was recorded since midnight, in complete minutes, and how the product itself does."""

    http_method_names = ["get", "head"]
    content_negotiation_class = _Json

    @extend_schema(
        operation_id="metrics",
        tags=["metrics"],
        summary="Exposition for Prometheus, in its text format or OpenMetrics",
        parameters=[
            OpenApiParameter(
                TENANT,
                str,
                many=True,
                description=f"These, each with a label, {MOST_TENANTS} at most. Without it: all together, or the token's own.",
            )
        ],
        responses={
            (200, "text/plain"): OpenApiTypes.STR,
            (200, OPENMETRICS): OpenApiTypes.STR,
            **{(code, problem.MEDIA_TYPE): ProblemSerializer for code in (400, 401, 403, 503)},
        },
    )
    def get(self, request: Request) -> HttpResponse:
        """Counters since midnight UTC, of complete minutes alone. A tenant that is not known has no samples."""
        scope = _scope(request)
        encode, content_type = _encoder(request.headers.get("Accept"))
        created = content_type.startswith(OPENMETRICS)
        registry = CollectorRegistry()
        registry.register(_Given(cache.once(("metrics", scope, created), lambda: _families(scope, created=created))))
        text = encode(registry)
        headers = {"Cache-Control": "no-store", "Vary": "Accept, Accept-Encoding"}
        if gzip_accepted(request.headers.get("Accept-Encoding", "")):
            text = gzip.compress(text, compresslevel=6)
            headers["Content-Encoding"] = "gzip"
        return HttpResponse(text, content_type=content_type, headers=headers)


class _Given:
    """A collector of what was read before."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        """All of it."""
        return self._families


def _scope(request: Request) -> Scope:
    """Raises PermissionDenied as `visible` does, or ValidationError."""
    asked = tuple(dict.fromkeys(filter(None, request.query_params.getlist(TENANT))))
    for tenant in asked:
        visible(request, tenant)
    parameters.check(request, {TENANT})
    if len(asked) > MOST_TENANTS:
        raise ValidationError({TENANT: [f"There are {len(asked)} of them, and {MOST_TENANTS} at most in one scrape."]})
    return Scope(asked or (bound(request) or GLOBAL,), named=bool(asked))


def _families(scope: Scope, *, created: bool) -> list[Metric]:
    found: list[Metric] = []
    tenants = [tenant for tenant in scope.tenants if "\0" not in tenant]  # Postgres refuses the character: there is none
    so_far = today.read(tenants)
    if so_far is not None:
        found += recorded.families(so_far, named=scope.named, created=created)
    if scope.whole:
        now = timezone.now()
        found += machinery.families(status.glance(now), now)
    found += machinery.firing(firing.everywhere() if scope.whole else firing.of(tenants), named=scope.named)
    return found


def _encoder(accept: str | None) -> tuple[Encoder, str]:
    """What writes the text, and its content type."""
    try:
        return choose_encoder(accept or "")
    except (TypeError, ValueError):  # it compares a version that is no number
        return generate_latest, PLAIN
