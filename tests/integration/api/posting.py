"""Batches of interactions, and what the hot store holds of them."""

from __future__ import annotations

import json
from typing import Any

from django.test import Client

from apps.monitoring.core.series import GLOBAL
from apps.monitoring.ingest.hotstore import HotStore
from tests.integration.ingest.hot import everything, fields

PATH = "/api/v1/interactions"


def post(client: Client, rows: Any, key: str | None = None, kind: str = "application/json", **headers: str) -> Any:
    """``rows`` as JSON, or as the bytes that they are."""
    content = rows if isinstance(rows, bytes) else json.dumps(rows).encode()
    if key is not None:
        headers["idempotency-key"] = key
    return client.generic("POST", PATH, content, content_type=kind, headers=headers)


def lines(*rows: Any) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def row(number: int = 0, **more: Any) -> dict[str, Any]:
    return {"conversation_id": f"c-{number}", "agent_response": "yes", "processing_time_ms": 100.0 + number, **more}


def recorded(tenant: str = "airline") -> int:
    """Interactions of a tenant in the hot store."""
    return fields(everything(HotStore.from_conf()), tenant)["i:n"]


def recorded_of_all() -> tuple[int, int]:
    """Of all tenants together: interactions, and the sum of their response times in microseconds."""
    found = fields(everything(HotStore.from_conf()), GLOBAL)
    return found["i:n"], found["rt:s"]
