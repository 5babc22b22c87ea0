"""What is recorded while a streaming response is read belongs to its request, through Django's own handlers."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from asgiref.testing import ApplicationCommunicator
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.http import FileResponse, HttpRequest, StreamingHttpResponse
from django.test import RequestFactory
from django.urls import path

from apps.monitoring.logs.context import current

SEEN: list[Mapping[str, object] | None] = []


def parts() -> Iterator[str]:
    try:
        for number in range(3):
            SEEN.append(current())
            yield str(number)
    finally:
        SEEN.append(current())


async def parts_later() -> AsyncIterator[str]:
    try:
        for number in range(3):
            await asyncio.sleep(0)
            SEEN.append(current())
            yield str(number)
    finally:
        SEEN.append(current())


def streaming(request: HttpRequest) -> StreamingHttpResponse:
    return StreamingHttpResponse(parts())


async def streaming_later(request: HttpRequest) -> StreamingHttpResponse:
    return StreamingHttpResponse(parts_later())


def file(request: HttpRequest) -> FileResponse:
    return FileResponse(io.BytesIO(b"012"))


urlpatterns = [path("sync", streaming), path("async", streaming_later), path("file", file)]


@pytest.fixture(autouse=True)
def site(settings: Any) -> None:
    settings.ROOT_URLCONF = __name__
    settings.MIDDLEWARE = ["apps.monitoring.logs.middleware.RequestIdMiddleware"]
    settings.ALLOWED_HOSTS = ["*"]
    SEEN.clear()


def wsgi(address: str, read: int) -> bytes:
    """As a server reads it, which closes it in the end."""
    environ = RequestFactory(headers={"X-Request-ID": "r-1"})._base_environ(PATH_INFO=f"/{address}")

    def serve() -> bytes:
        response = WSGIHandler()(environ, lambda *_: None)
        body = b"".join(part for part, _ in zip(response, range(read), strict=False))
        response.close()
        assert current() is None
        return body

    with ThreadPoolExecutor(1) as thread:  # the browser tests leave an event loop running in this one
        return thread.submit(serve).result()


def asgi(address: str, read: int) -> bytes:
    scope = {
        "type": "http", "method": "GET", "path": f"/{address}", "query_string": b"", "headers": [(b"x-request-id", b"r-1")],
        "asgi": {"version": "3.0"}, "http_version": "1.1", "server": ("testserver", 80),
    }  # fmt: skip

    async def ask() -> bytes:
        site = ApplicationCommunicator(ASGIHandler(), scope)
        await site.send_input({"type": "http.request", "body": b"", "more_body": False})
        assert (await site.receive_output(5))["status"] == 200
        body = b""
        for _ in range(read):
            body += (await site.receive_output(5)).get("body", b"")
        if read < 3:
            await site.send_input({"type": "http.disconnect"})
        await site.wait(5)
        return body

    with ThreadPoolExecutor(1) as thread:  # as above
        return thread.submit(asyncio.run, ask()).result()


@pytest.mark.parametrize("address", ["sync", "async"])
@pytest.mark.parametrize("ask", [wsgi, asgi])
@pytest.mark.filterwarnings("ignore:StreamingHttpResponse must consume")
def test_each_part_and_the_end_of_a_stream_belong_to_the_request(ask: Callable[[str, int], bytes], address: str) -> None:
    assert ask(address, 4) == b"012"
    assert SEEN == [{"request_id": "r-1"}] * 4


@pytest.mark.parametrize(("ask", "address"), [(wsgi, "sync"), (asgi, "async")])
def test_the_end_of_a_stream_that_the_customer_gave_up_belongs_to_the_request(
    ask: Callable[[str, int], bytes], address: str
) -> None:
    assert ask(address, 1) == b"0"
    assert len(SEEN) >= 2
    assert set(map(str, SEEN)) == {"{'request_id': 'r-1'}"}


def test_a_file_is_left_to_the_server() -> None:
    class Wrapper:
        def __init__(self, held: Any, size: int) -> None:
            self.held = held

    environ = RequestFactory()._base_environ(PATH_INFO="/file")
    response = WSGIHandler()({**environ, "wsgi.file_wrapper": Wrapper}, lambda *_: None)
    assert isinstance(response, Wrapper)
