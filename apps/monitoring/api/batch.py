"""The body of `POST /api/v1/interactions`: JSON or JSON Lines, gzipped or not, of a bounded size."""

from __future__ import annotations

from collections.abc import Mapping
from typing import IO, Any, ClassVar

from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser
from rest_framework.request import Request

from apps.monitoring.api import content
from apps.monitoring.api.body import TooLargeError
from apps.monitoring.interactions import batch
from apps.monitoring.interactions.batch import Batch, TooManyError, UnreadableError


class _BatchBody(BaseParser):
    """What DRF looks for by the media type."""

    reads: ClassVar[staticmethod[[bytes], Batch]]
    """What makes a batch of the bytes. Raises UnreadableError and TooManyError."""

    def parse(  # type: ignore[override]  # what a body is here is no mapping
        self,
        stream: IO[Any],
        media_type: str | None = None,  # noqa: ARG002 - the framework's signature
        parser_context: Mapping[str, Any] | None = None,
    ) -> Batch:
        """The batch. Raises ParseError, TooLargeError and UnsupportedMediaType."""
        request: Request = (parser_context or {})["request"]
        try:
            return self.reads(content.whole(stream, request))
        except UnreadableError as error:
            raise ParseError(str(error)) from None
        except TooManyError as error:
            raise TooLargeError(str(error)) from None


class JSONBatch(_BatchBody):
    """One interaction, or an array of them."""

    media_type = "application/json"
    reads = staticmethod(batch.of_json)


class LinesBatch(_BatchBody):
    """One interaction a line."""

    media_type = "application/x-ndjson"
    reads = staticmethod(batch.of_lines)


class JSONLinesBatch(LinesBatch):
    """The same under its other name."""

    media_type = "application/jsonl"
