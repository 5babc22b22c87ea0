"""Interactions of agents that are not written in Python: `POST /api/v1/interactions`."""

from __future__ import annotations

import re
import time
from typing import Any, Final

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.exceptions import ParseError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.monitoring.api import parameters, problem, recorded, recording
from apps.monitoring.api.authentication import TokenAuthentication
from apps.monitoring.api.batch import JSONBatch, JSONLinesBatch, LinesBatch
from apps.monitoring.api.serializers import ProblemSerializer
from apps.monitoring.api.tenancy import MayRecord
from apps.monitoring.interactions import ingestion
from apps.monitoring.interactions.batch import Batch
from apps.monitoring.interactions.row import Broken

_KEY: Final = re.compile(r"[\x21-\x7e]{1,255}\Z")
_EMPTY: Final = "The body is empty, or it was sent in chunks: give its Content-Length."


_PROBLEMS: Final = {
    (400, problem.MEDIA_TYPE): recorded.REFUSED,
    **{(code, problem.MEDIA_TYPE): ProblemSerializer for code in (401, 403, 413, 415, 422, 500, 503)},
}
_KEY_PARAMETER: Final = OpenApiParameter(
    "Idempotency-Key",
    str,
    OpenApiParameter.HEADER,
    description="1 to 255 visible characters of ASCII, remembered for 24 hours: the batch counts once however often it comes.",
)


class InteractionsView(APIView):
    """For tokens that record, and nobody else: a browser's session does not."""

    authentication_classes = [TokenAuthentication]
    permission_classes = [MayRecord]
    parser_classes = [JSONBatch, LinesBatch, JSONLinesBatch]

    @extend_schema(
        operation_id="interactions_record",
        tags=["interactions"],
        summary="Record interactions",
        parameters=[_KEY_PARAMETER],
        request=recorded.BODIES,
        responses={202: recorded.RECORDED, **_PROBLEMS},
        examples=recorded.EXAMPLES,
    )
    def post(self, request: Request) -> Response:
        """JSON (one, or an array) or one a line, gzipped or not. With the answer they are in the hot store and count.

        A line that is no interaction is rejected, the others count.
        """
        parameters.check(request, ())
        key = _key(request)
        batch = request.data
        if not isinstance(batch, Batch):
            raise ParseError(_EMPTY)
        try:
            outcome = recording.ingested(batch, recording.sender(request), key, time.time())
        except ingestion.NothingToCountError as error:
            body = problem.details(400, "No line of the batch is an interaction.", **_rejected(error.rejected))
            return Response(body, 400, content_type=problem.MEDIA_TYPE)
        body = {"accepted": outcome.accepted, **_rejected(outcome.rejected), "repeated": outcome.repeated}
        return Response(body, 202)


def _key(request: Request) -> str | None:
    key = request.headers.get("Idempotency-Key")
    if key is not None and not _KEY.match(key):
        raise ParseError("An Idempotency-Key is 1 to 255 visible characters of ASCII.")
    return key


def _rejected(lines: list[Broken]) -> dict[str, Any]:
    told = [{"line": line.number, "detail": line.reason} for line in lines[: recorded.TOLD]]
    return {"rejected": told, "rejected_count": len(lines)}
