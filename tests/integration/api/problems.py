"""What every error looks like (RFC 9457)."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any


def problem(answer: Any, status: int) -> str:
    """Check that an answer is a problem of this status, told in one line; returns the line."""
    assert answer.status_code == status, answer.content
    assert answer["content-type"] == "application/problem+json"
    body = answer.json()
    assert body["type"] == "about:blank"
    assert (body["status"], body["title"]) == (status, HTTPStatus(status).phrase)
    detail = body["detail"]
    assert isinstance(detail, str)
    assert detail
    assert len(detail.splitlines()) == 1
    assert "Traceback" not in answer.content.decode()
    return detail
