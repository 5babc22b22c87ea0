"""What every address that records has alike: who sends, and what becomes of a batch that the hot store does not take."""

from __future__ import annotations

from typing import cast

from rest_framework.exceptions import APIException
from rest_framework.request import Request

from apps.monitoring.interactions import ingestion
from apps.monitoring.interactions.batch import Batch
from apps.monitoring.interactions.ingestion import Outcome
from apps.monitoring.interactions.sender import LINES, Sender
from apps.monitoring.models import ApiToken


class UnprocessableError(APIException):
    """What was asked under the key before was something else."""

    status_code = 422
    default_detail = "The Idempotency-Key came with another body before: take a new key for a new batch."
    default_code = "other_body"


class UnavailableError(APIException):
    """Not now."""

    status_code = 503
    default_detail = (
        "The hot store did not confirm the whole batch. Send it again with the same Idempotency-Key: what it has already "
        "is not counted twice. Without a key, a part of it may count twice."
    )
    default_code = "unconfirmed"
    wait = 5


class RefusedError(APIException):
    """Never."""

    status_code = 500
    default_detail = (
        "The hot store refuses a part of the batch for good; the reason is in the server's log. The rest of it is counted: "
        "do not send it again."
    )
    default_code = "refused"


def sender(request: Request, naming: str = LINES) -> Sender:
    """Who sends, by the token of the request."""
    token = cast("ApiToken", request.auth)
    return Sender(f"{token.pk} {token.tenant}", token.tenant, naming)


def ingested(batch: Batch, by: Sender, key: str | None, now: float, seconds: int = ingestion.REMEMBER_SECONDS) -> Outcome:
    """As `ingestion.ingest`. Raises NothingToCountError, UnprocessableError, UnavailableError and RefusedError."""
    try:
        return ingestion.ingest(batch, by, key, now, seconds)
    except ingestion.OtherBatchError as error:
        raise UnprocessableError from error
    except ingestion.UnconfirmedError as error:
        raise UnavailableError from error
    except ingestion.RefusedError as error:
        raise RefusedError from error
