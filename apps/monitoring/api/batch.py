"""The body of `POST /api/v1/interactions`: JSON or JSON Lines, gzipped or not, of a bounded size."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Mapping
from typing import IO, Any, Final

from rest_framework.exceptions import ParseError, UnsupportedMediaType
from rest_framework.parsers import BaseParser
from rest_framework.request import Request

from apps.monitoring.api.body import TooLargeError
from apps.monitoring.interactions import batch
from apps.monitoring.interactions.batch import Batch, TooManyError, UnreadableError

MOST: Final = 8 * 1024 * 1024
"""Bytes, as they come and unpacked."""
_LARGE: Final = f"The body is larger than {MOST:,} bytes, as it comes or unpacked: send it in several."


class _BatchBody(BaseParser):
    """What DRF looks for by the media type."""

    def parse(  # type: ignore[override]  # what a body is here is no mapping
        self,
        stream: IO[Any],
        media_type: str | None = None,  # noqa: ARG002 - the framework's signature
        parser_context: Mapping[str, Any] | None = None,
    ) -> Batch:
        """The batch. Raises ParseError, TooLargeError and UnsupportedMediaType."""
        request: Request = (parser_context or {})["request"]
        try:
            return self._batch(_content(stream, request))
        except UnreadableError as error:
            raise ParseError(str(error)) from None
        except TooManyError as error:
            raise TooLargeError(str(error)) from None

    def _batch(self, content: bytes) -> Batch:
        raise NotImplementedError


class JSONBatch(_BatchBody):
    """One interaction, or an array of them."""

    media_type = "application/json"

    def _batch(self, content: bytes) -> Batch:
        return batch.of_json(content)


class LinesBatch(_BatchBody):
    """One interaction a line."""

    media_type = "application/x-ndjson"

    def _batch(self, content: bytes) -> Batch:
        return batch.of_lines(content)


class JSONLinesBatch(LinesBatch):
    """The same under its other name."""

    media_type = "application/jsonl"


def _content(stream: IO[Any], request: Request) -> bytes:
    """The whole body, unpacked."""
    content = stream.read(MOST + 1)
    if len(content) > MOST:
        raise TooLargeError(_LARGE)
    # Of a sender that went away in the middle, the part that came would count, and bind its key.
    if len(content) != int(request.META.get("CONTENT_LENGTH") or 0):
        raise ParseError("The body ended before its Content-Length.")
    coding = request.headers.get("Content-Encoding", "identity").strip().lower()
    if coding == "identity":
        return bytes(content)
    if coding != "gzip":
        raise UnsupportedMediaType("", f"There is no Content-Encoding but gzip, not {coding[:40]!r}.")
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(content)) as file:
            content = file.read(MOST + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise ParseError(f"The body is no gzip: {error}") from None
    if len(content) > MOST:
        raise TooLargeError(_LARGE)
    return bytes(content)
