"""What the OpenAPI document says of every address alike."""

from __future__ import annotations

from typing import Any, Final

from apps.monitoring.api.problem import MEDIA_TYPE

_PROBLEM: Final = {
    "description": "Whatever goes wrong, by its status.",
    "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
}


def with_problems(result: dict[str, Any], generator: Any, request: Any, public: Any) -> dict[str, Any]:  # noqa: ARG001
    """Every operation of the API may answer with problem details. A hook of drf-spectacular."""
    for path, methods in result["paths"].items():
        if path.startswith("/api/"):
            for operation in methods.values():
                operation["responses"].setdefault("default", _PROBLEM)
    return result
