"""The bytes of a body, gzipped or not, of a bounded size."""

from __future__ import annotations

import gzip
import io
import zlib
from typing import IO, Any, Final

from rest_framework.exceptions import ParseError, UnsupportedMediaType
from rest_framework.request import Request

from apps.monitoring.api.body import TooLargeError

MOST: Final = 8 * 1024 * 1024
"""Bytes, as they come and unpacked."""
_LARGE: Final = f"The body is larger than {MOST:,} bytes, as it comes or unpacked: send it in several."
_TERMINATED: Final = "wsgi.input_terminated"
"""Servers that read a body in chunks to its end, as gunicorn does, say so. Django does not ask them: to it, there is none."""


def whole(stream: IO[Any], request: Request) -> bytes:
    """All of it, unpacked. Raises ParseError, TooLargeError and UnsupportedMediaType."""
    try:
        content = stream.read(MOST + 1)
    except OSError:  # who sent it in chunks went away in the middle
        raise ParseError("The body ended before its end.") from None
    if len(content) > MOST:
        raise TooLargeError(_LARGE)
    # Of a sender that went away in the middle, the part that came would count, and bind its key.
    if not _is_chunked(request) and len(content) != int(request.META.get("CONTENT_LENGTH") or 0):
        raise ParseError("The body ended before its Content-Length.")
    return _unpacked(bytes(content), request.headers.get("Content-Encoding", "identity").strip().lower())


def stream_of(request: Request) -> IO[Any]:
    """What to read the body from, also one that comes in chunks. Raises ParseError when the server does not take those."""
    if not _is_chunked(request) or "wsgi.input" not in request.META:
        return request._request  # type: ignore[return-value]  # noqa: SLF001 - the framework's one has no body without a length
    if not request.META.get(_TERMINATED):
        raise ParseError("The body was sent in chunks, which this server does not take: give its Content-Length.")
    stream: IO[Any] = request.META["wsgi.input"]
    return stream


def _is_chunked(request: Request) -> bool:
    return "chunked" in request.headers.get("Transfer-Encoding", "").lower()


def _unpacked(content: bytes, coding: str) -> bytes:
    if coding == "identity":
        return content
    if coding != "gzip":
        raise UnsupportedMediaType("", f"There is no Content-Encoding but gzip, not {coding[:40]!r}.")
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(content)) as file:
            unpacked = file.read(MOST + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise ParseError(f"The body is no gzip: {error}") from None
    if len(unpacked) > MOST:
        raise TooLargeError(_LARGE)
    return unpacked
