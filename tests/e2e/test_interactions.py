"""An agent in another language: what it posts to the web process, by sockets, is in the summary."""

from __future__ import annotations

import gzip
import json
import socket
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from apps.monitoring.models import ApiToken
from tests.e2e.parts import Parts

pytestmark = pytest.mark.usefixtures("stores")

LINES = b"".join(
    json.dumps({"conversation_id": f"c-{n}", "agent_response": "yes", "processing_time_ms": 1_000 + n}).encode() + b"\n"
    for n in range(500)
)
NDJSON = "application/x-ndjson"


@pytest.fixture
def agent(web: tuple[int, Parts]) -> Iterator[httpx.Client]:
    _, secret = ApiToken.issue("agent", "airline", can_record=True)
    with httpx.Client(
        base_url=f"http://127.0.0.1:{web[0]}", timeout=30, headers={"Authorization": f"Bearer {secret}", "Content-Type": NDJSON}
    ) as client:
        yield client


def interactions(parts: Parts) -> Any:
    return json.loads(parts.manage("summary", "--tenant", "airline", "--window", "1h"))["interactions"]["total"]


def test_what_is_posted_is_in_the_summary_once(web: tuple[int, Parts], agent: httpx.Client) -> None:
    headers = {"Idempotency-Key": "monday-1", "Content-Encoding": "gzip"}
    answers = [agent.post("/api/v1/interactions", content=gzip.compress(LINES), headers=headers) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [202] * 3, answers[0].text
    assert [answer.json()["repeated"] for answer in answers] == [False, True, True], "whichever process took it"
    assert interactions(web[1]) == 500


def test_of_a_body_that_was_cut_off_nothing_counts_and_no_key_is_taken(web: tuple[int, Parts], agent: httpx.Client) -> None:
    head = (
        f"POST /api/v1/interactions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {NDJSON}\r\nContent-Length: {len(LINES)}\r\n"
        f"Authorization: {agent.headers['authorization']}\r\nIdempotency-Key: a-key\r\nConnection: close\r\n\r\n"
    ).encode()
    with socket.create_connection(("127.0.0.1", web[0]), 30) as client:
        client.sendall(head + LINES[: len(LINES) // 2])
        client.shutdown(socket.SHUT_WR)
        answer = b"".join(iter(lambda: client.recv(65_536), b""))
    assert b" 400 " in answer.splitlines()[0]
    assert b"Content-Length" in answer
    again = agent.post("/api/v1/interactions", content=LINES, headers={"Idempotency-Key": "a-key"})
    assert (again.status_code, again.json()["accepted"], again.json()["repeated"]) == (202, 500, False)
    assert interactions(web[1]) == 500


def test_a_body_without_its_length_is_told_what_is_missing(agent: httpx.Client) -> None:
    answer = agent.post("/api/v1/interactions", content=iter([LINES]))
    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json")
    assert "Content-Length" in answer.json()["detail"]
