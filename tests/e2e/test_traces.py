"""What exporters in other languages send to the web process, by sockets."""

from __future__ import annotations

import gzip
import json
import socket
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from apps.monitoring.models import ApiToken
from tests.e2e.parts import Parts
from tests.unit.spans.exported import PROTOBUF, protobuf, sent

pytestmark = pytest.mark.usefixtures("stores")


def body(first: int, number: int = 300) -> bytes:
    end = round(time.time()) - 2
    return protobuf(*(sent("invoke_agent", end, span_id=n.to_bytes(8, "big")) for n in range(first, first + number)))


@pytest.fixture
def exporter(web: tuple[int, Parts]) -> Iterator[httpx.Client]:
    _, secret = ApiToken.issue("agent", "airline", can_record=True)
    headers = {"Authorization": f"Bearer {secret}", "Content-Type": PROTOBUF}
    with httpx.Client(base_url=f"http://127.0.0.1:{web[0]}", timeout=30, headers=headers) as client:
        yield client


def interactions(parts: Parts) -> Any:
    return json.loads(parts.manage("summary", "--tenant", "airline", "--window", "1h"))["interactions"]["total"]


def test_what_is_sent_again_counts_once_in_chunks_or_not(web: tuple[int, Parts], exporter: httpx.Client) -> None:
    """Node's exporter packs while it sends, so it does not know the length."""
    content = body(1)
    packed = gzip.compress(content)
    ways: list[tuple[Any, dict[str, str]]] = [
        (content, {}), (packed, {"Content-Encoding": "gzip"}), (iter([packed[:100], packed[100:]]), {"Content-Encoding": "gzip"}),
    ]  # fmt: skip
    for sending, headers in ways:
        answer = exporter.post("/v1/traces", content=sending, headers=headers)
        assert (answer.status_code, answer.content, answer.headers["content-type"]) == (200, b"", PROTOBUF)
    assert interactions(web[1]) == 300
    assert exporter.post("/v1/traces", content=iter([body(1_000)])).status_code == 200
    assert interactions(web[1]) == 600
    too_much = exporter.post("/v1/traces", content=(b"\0" * 1_000_000 for _ in range(20)))
    assert too_much.status_code == 413


def test_of_chunks_that_end_in_the_middle_nothing_counts(web: tuple[int, Parts], exporter: httpx.Client) -> None:
    content = body(1)
    head = (
        f"POST /v1/traces HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {PROTOBUF}\r\nTransfer-Encoding: chunked\r\n"
        f"Authorization: {exporter.headers['authorization']}\r\nConnection: close\r\n\r\n"
    ).encode()
    with socket.create_connection(("127.0.0.1", web[0]), 30) as client:
        client.sendall(head + f"{len(content):x}\r\n".encode() + content + b"\r\n")  # without the chunk that is the last one
        client.shutdown(socket.SHUT_WR)
        answer = b"".join(iter(lambda: client.recv(65_536), b""))
    assert not answer or b" 400 " in answer.splitlines()[0]
    assert exporter.post("/v1/traces", content=body(5_000, 1)).status_code == 200
    assert interactions(web[1]) == 1
