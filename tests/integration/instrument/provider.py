"""A real HTTP server that answers as OpenAI and Anthropic document it, for their real client libraries."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

CHAT_USAGE = {
    "prompt_tokens": 120,
    "completion_tokens": 30,
    "total_tokens": 150,
    "prompt_tokens_details": {"cached_tokens": 100},
    "completion_tokens_details": {"reasoning_tokens": 20},
}
RESPONSES_USAGE = {
    "input_tokens": 120,
    "output_tokens": 30,
    "total_tokens": 150,
    "input_tokens_details": {"cached_tokens": 100},
    "output_tokens_details": {"reasoning_tokens": 20},
}
MESSAGE_USAGE = {
    "input_tokens": 15,
    "output_tokens": 30,
    "cache_read_input_tokens": 100,
    "cache_creation_input_tokens": 5,
}
FIRST_TOKEN_AFTER = 0.05


def chat() -> dict[str, Any]:
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Hello."}}
    return {"id": "c", "object": "chat.completion", "created": 1, "model": "gpt-4o", "choices": [choice], "usage": CHAT_USAGE}


def chat_chunks() -> Iterator[dict[str, Any]]:
    base = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4o"}
    yield {
        **base,
        "choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}],
        "usage": None,
    }
    time.sleep(FIRST_TOKEN_AFTER)
    for word in ("Hel", "lo."):
        yield {**base, "choices": [{"index": 0, "delta": {"content": word}, "finish_reason": None}], "usage": None}
    yield {**base, "choices": [], "usage": CHAT_USAGE}


def response() -> dict[str, Any]:
    text = {"type": "output_text", "text": "Hello.", "annotations": []}
    message = {"type": "message", "id": "m", "role": "assistant", "status": "completed", "content": [text]}
    return {
        "id": "r", "object": "response", "created_at": 1, "model": "gpt-4o", "status": "completed", "output": [message],
        "usage": RESPONSES_USAGE, "parallel_tool_calls": True, "tool_choice": "auto", "tools": [],
    }  # fmt: skip


def response_events() -> Iterator[dict[str, Any]]:
    yield {"type": "response.created", "sequence_number": 0, "response": {**response(), "usage": None, "status": "in_progress"}}
    time.sleep(FIRST_TOKEN_AFTER)
    delta = {"type": "response.output_text.delta", "item_id": "m", "output_index": 0, "content_index": 0, "logprobs": []}
    yield {**delta, "sequence_number": 1, "delta": "Hello."}
    yield {"type": "response.completed", "sequence_number": 2, "response": response()}


def message() -> dict[str, Any]:
    return {
        "id": "m", "type": "message", "role": "assistant", "model": "claude-sonnet-4-5", "stop_reason": "end_turn",
        "stop_sequence": None, "content": [{"type": "text", "text": "Hello."}], "usage": MESSAGE_USAGE,
    }  # fmt: skip


def message_events() -> Iterator[dict[str, Any]]:
    yield {"type": "message_start", "message": {**message(), "content": [], "usage": {**MESSAGE_USAGE, "output_tokens": 1}}}
    yield {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
    time.sleep(FIRST_TOKEN_AFTER)
    yield {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hello."}}
    yield {"type": "content_block_stop", "index": 0}
    yield {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None}, "usage": {"output_tokens": 30}}
    yield {"type": "message_stop"}


class Handler(BaseHTTPRequestHandler):
    answers: ClassVar[dict[str, tuple[Any, Any]]] = {
        "/v1/chat/completions": (chat, chat_chunks),
        "/v1/responses": (response, response_events),
        "/v1/messages": (message, message_events),
    }

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if asked["model"] == "failing":
            self._send(503, {"error": {"type": "overloaded_error", "message": "try later"}})
            return
        whole, parts = self.answers[self.path]
        if not asked.get("stream"):
            self._send(200, whole())
            return
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.end_headers()
        for part in parts():
            name = f"event: {part['type']}\n" if "type" in part else ""
            self.wfile.write(f"{name}data: {json.dumps(part)}\n\n".encode())
            self.wfile.flush()
        if self.path == "/v1/chat/completions":
            self.wfile.write(b"data: [DONE]\n\n")

    def _send(self, status: int, answer: dict[str, Any]) -> None:
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def serving() -> Iterator[str]:
    """The address of a server."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
