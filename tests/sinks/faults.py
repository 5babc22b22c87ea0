"""Ways to be a bad receiver. Each is called with a request before its body is read, and answers it in its own way."""

from __future__ import annotations

import os
import socket
import struct
import threading
from http.server import BaseHTTPRequestHandler

from apps.monitoring.demo.sink.reply import Reply
from apps.monitoring.demo.sink.web import Behave


def none(request: BaseHTTPRequestHandler) -> bool:
    """Be good."""
    return False


def answers(status: int, **headers: str) -> Behave:
    """Take the request and answer with a status; a header's underscores are hyphens."""

    def behave(request: BaseHTTPRequestHandler) -> bool:
        _read(request)
        request.send_response(status)
        for name, value in headers.items():
            request.send_header(name.replace("_", "-"), value)
        request.send_header("content-length", "0")
        request.end_headers()
        return True

    return behave


def says(body: str, content_type: str = "application/json", status: int = 200) -> Behave:
    """Take the request and answer with a body."""

    def behave(request: BaseHTTPRequestHandler) -> bool:
        _read(request)
        request._answer(Reply(status, body.encode(), content_type))  # type: ignore[attr-defined]
        return True

    return behave


def hangs(released: threading.Event, *, takes: bool = False) -> Behave:
    """Never answer, until released; ``takes`` keeps what was sent all the same, as a receiver that is slow does."""

    def behave(request: BaseHTTPRequestHandler) -> bool:
        if takes:
            request._take()  # type: ignore[attr-defined]
        released.wait(60)
        request.close_connection = True
        return True

    return behave


def drips(released: threading.Event) -> Behave:
    """Answer a byte now and then, never to an end: no single wait is long."""

    def behave(request: BaseHTTPRequestHandler) -> bool:
        _read(request)
        request.wfile.write(b"HTTP/1.1 200 OK\r\nx-slow: ")
        while not released.wait(0.1):
            try:
                request.wfile.write(b"a")
            except OSError:
                break
        request.close_connection = True
        return True

    return behave


def resets(request: BaseHTTPRequestHandler) -> bool:
    """Break the connection off without an answer."""
    _break_off(request)
    return True


def resets_mid_body(request: BaseHTTPRequestHandler) -> bool:
    """Say 200 and promise a body, then break the connection off."""
    request._take()  # type: ignore[attr-defined]
    request.wfile.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nhalf")
    _break_off(request)
    return True


def floods(request: BaseHTTPRequestHandler) -> bool:
    """Answer 200 with a body that never ends; stops when nobody listens any more."""
    request._take()  # type: ignore[attr-defined]
    request.wfile.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
    try:
        while True:
            request.wfile.write(b"10000\r\n" + b"x" * 0x10000 + b"\r\n")
    except OSError:
        request.close_connection = True
    return True


def _read(request: BaseHTTPRequestHandler) -> None:
    request.rfile.read(int(request.headers.get("content-length") or 0))


def _break_off(request: BaseHTTPRequestHandler) -> None:
    """A reset instead of an orderly end: SO_LINGER with a time of zero (socket(7)), closed behind the server's back."""
    request.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    os.close(request.connection.detach())
    request.close_connection = True
