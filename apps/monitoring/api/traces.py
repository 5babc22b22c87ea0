"""OTLP/HTTP: spans of agents that are instrumented with OpenTelemetry, `POST /v1/traces`."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.exceptions import ParseError, UnsupportedMediaType
from rest_framework.request import Request
from rest_framework.views import APIView

from apps.monitoring.api import content, otlp, parameters, problem, recording
from apps.monitoring.api.authentication import TokenAuthentication
from apps.monitoring.api.body import TooLargeError
from apps.monitoring.api.otlp import Encoding
from apps.monitoring.api.tenancy import MayRecord
from apps.monitoring.conf import conf
from apps.monitoring.interactions import ingestion
from apps.monitoring.interactions.batch import Batch, TooManyError, UnreadableError
from apps.monitoring.spans import batch

REMEMBER_SECONDS: Final = 21_600
"""How long a body is known. Exporters give up after minutes, a collector with a queue on disk tries on; and each exporter sends
a body each few seconds, all of which are to be remembered."""
_AGAIN: Final = "The hot store did not confirm all spans. Send the same body again: what it has already is not counted twice."
_READ: Final = {Encoding.PROTOBUF: batch.of_protobuf, Encoding.JSON: batch.of_json}
_FORMS: Final = {Encoding.PROTOBUF.value: OpenApiTypes.BINARY, Encoding.JSON.value: OpenApiTypes.OBJECT}


def _described(text: str) -> OpenApiResponse:
    return OpenApiResponse(OpenApiTypes.OBJECT, text)


class TracesView(APIView):
    """For tokens that record, and nobody else."""

    authentication_classes = [TokenAuthentication]
    permission_classes = [MayRecord]
    content_negotiation_class = otlp.AsAsked

    @extend_schema(
        operation_id="traces_export",
        tags=["traces"],
        summary="Record spans of OpenTelemetry",
        request=_FORMS,
        responses={
            (200, Encoding.JSON.value): _described("ExportTraceServiceResponse: `partialSuccess` has what does not count."),
            (400, Encoding.JSON.value): _described("google.rpc.Status, as with each other error."),
        },
    )
    def post(self, request: Request) -> HttpResponse:
        """OTLP/HTTP in Protobuf or JSON, gzipped or not. The answer is in the encoding of the request.

        Spans of generative AI count, others are passed over. With the answer they are in the hot store; sent again, the same
        body counts once.
        """
        parameters.check(request, ())
        encoding = otlp.encoding_of(request)
        if encoding is None:
            raise UnsupportedMediaType("", f"OTLP is {' or '.join(_READ)}, not {request.content_type[:80]!r}.")
        sent = _batch(encoding, content.whole(content.stream_of(request), request))
        sender = recording.sender(request, f"each span or its resource names its own as {conf().otlp_tenant_attribute}")
        try:
            rejected = recording.ingested(sent, sender, f"spans {sent.digest}", time.time(), REMEMBER_SECONDS).rejected
        except ingestion.NothingToCountError as error:
            rejected = error.rejected
        except recording.UnavailableError as error:
            raise recording.UnavailableError(_AGAIN) from error
        return otlp.taken(encoding, rejected)

    def get_exception_handler(self) -> Callable[[Exception, dict[str, Any]], HttpResponse]:
        """What is wrong, in the words of every other address, as OTLP says it."""
        return _failed


def _batch(encoding: Encoding, body: bytes) -> Batch:
    try:
        return _READ[encoding](body, frozenset(conf().otlp_agents), conf().otlp_tenant_attribute)
    except UnreadableError as error:
        raise ParseError(str(error)) from None
    except TooManyError as error:
        raise TooLargeError(str(error)) from None


def _failed(error: Exception, context: dict[str, Any]) -> HttpResponse:
    told = problem.handle(error, context)
    response = otlp.failed(otlp.encoding_of(context["request"]), told.status_code, str(told.data["detail"]))
    for name in ("Retry-After", "WWW-Authenticate", "Allow"):
        if name in told:
            response[name] = told[name]
    return response
