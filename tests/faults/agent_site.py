"""A user's site and Celery application, as small as they can be: each request, and each task, is an interaction."""

from __future__ import annotations

import os
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import django
from celery import Celery

django.setup()

from apps.monitoring import get_agent_monitor  # noqa: E402

MINUTE = 1_767_571_200


def answer(tenant: str = "acme") -> None:
    """What the agent does for a customer."""
    get_agent_monitor(tenant).log_and_record_interaction(
        conversation_id="c-1",
        agent_response="yes",
        model_used="gpt-4o",
        token_usage={"prompt_tokens": 100, "completion_tokens": 20},
        timestamp=MINUTE,
    )


if "BEFORE_THE_FORK" in os.environ:
    answer()


def wsgi(environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
    """A site for gunicorn."""
    answer()
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]


async def asgi(scope: dict[str, Any], receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]) -> None:
    """A site for uvicorn."""
    if scope["type"] == "http":
        answer()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})


celery = Celery("site", broker=os.environ.get("CELERY_BROKER_URL"), backend=os.environ.get("CELERY_BROKER_URL"))
celery.conf.task_default_queue = "agent"


@celery.task
def turn() -> None:
    """An agent that works in tasks."""
    answer()


@celery.task
def long_turn() -> None:
    """A turn that is answered and does not end."""
    answer("revoked")
    celery.backend.client.set("answered", 1)
    time.sleep(600)


def revoke_a_long_turn() -> None:
    """What an operator does, once the answer is recorded."""
    turn = long_turn.delay()
    while not celery.backend.client.getdel("answered"):
        time.sleep(0.05)
    celery.control.revoke(turn.id, terminate=True)
