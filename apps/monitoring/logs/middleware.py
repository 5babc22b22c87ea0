"""Django middleware: every request has an id, and what is recorded during it carries it."""

from __future__ import annotations

import re
import uuid
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Final, cast

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.http import HttpRequest, StreamingHttpResponse
from django.http.response import HttpResponseBase

from apps.monitoring.logs.context import bind_request_id, bind_trace

HEADER: Final = "X-Request-ID"
_ACCEPTABLE: Final = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}")
_TRACEPARENT: Final = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-[0-9a-f]{2}(?:-.*)?")
"""https://www.w3.org/TR/trace-context/#traceparent-header; a later version may say more at its end."""

Respond = Callable[[HttpRequest], HttpResponseBase | Awaitable[HttpResponseBase]]


class RequestIdMiddleware:
    """Takes ``X-Request-ID`` from the request when it is a plain id, makes one otherwise, and answers with it.

    A ``traceparent`` of the request is taken, too, for as long as OpenTelemetry knows no span. Works under WSGI and ASGI. What
    is recorded while the body of a streaming response is made belongs to the request as well.
    Put it first. Whoever can set a header chooses the id: it is for finding lines, not for trusting them.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Respond) -> None:
        self._respond = get_response
        self._asynchronous = iscoroutinefunction(get_response)
        if self._asynchronous:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        """Bind the ids for the time of the request."""
        request_id = _id_of(request)
        if self._asynchronous:
            return self._later(request, request_id)
        with _bound(request, request_id):
            response = self._respond(request)
        assert isinstance(response, HttpResponseBase)  # noqa: S101 - a synchronous chain answers at once
        return _answered(request, request_id, response)

    async def _later(self, request: HttpRequest, request_id: str) -> HttpResponseBase:
        with _bound(request, request_id):
            waiting = self._respond(request)
            assert not isinstance(waiting, HttpResponseBase)  # noqa: S101 - an asynchronous chain is awaited
            response = await waiting
        return _answered(request, request_id, response)


def _id_of(request: HttpRequest) -> str:
    given = request.headers.get(HEADER, "")
    return given if _ACCEPTABLE.fullmatch(given) else uuid.uuid4().hex


def _answered(request: HttpRequest, request_id: str, response: HttpResponseBase) -> HttpResponseBase:
    response.headers[HEADER] = request_id
    # A file is left to the server, which may send it without reading it.
    if isinstance(response, StreamingHttpResponse) and getattr(response, "file_to_stream", None) is None:
        _follow(response, lambda: _bound(request, request_id))
    return response


Bind = Callable[[], AbstractContextManager[None]]


def _follow(response: StreamingHttpResponse, bind: Bind) -> None:
    """The body is read after the middleware has returned, by threads and tasks of the server's own: each part binds anew."""
    close = response.close

    def close_bound() -> None:
        with bind():
            close()

    cast("Any", response).close = close_bound
    content = response.streaming_content
    response.streaming_content = (
        _parts_later(content, bind) if isinstance(content, AsyncIterable) else _parts(cast("Iterable[bytes]", content), bind)
    )


def _parts(content: Iterable[bytes], bind: Bind) -> Iterator[bytes]:
    items = iter(content)
    while True:
        with bind():
            try:
                part = next(items)
            except StopIteration:
                return
        yield part


async def _parts_later(content: AsyncIterable[bytes], bind: Bind) -> AsyncIterator[bytes]:
    items: Any = aiter(content)
    try:
        while True:
            with bind():
                try:
                    part = await anext(items)
                except StopAsyncIteration:
                    return
            yield part
    finally:
        if hasattr(items, "aclose"):
            with bind():
                await items.aclose()


@contextmanager
def _bound(request: HttpRequest, request_id: str) -> Iterator[None]:
    parent = _TRACEPARENT.fullmatch(request.headers.get("traceparent", ""))
    with bind_request_id(request_id):
        if parent is None:
            yield
        else:
            with bind_trace(parent[1], parent[2]):
                yield
